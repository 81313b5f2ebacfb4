"""The fields of one record: its text, the user's id, what is kept, structure and label, as the source names them."""

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

import orjson

from winnow.sources.source import SourceConfig
from winnow.sources.structured.labels import LabelError, label_text
from winnow.sources.structured.parts import MISSING as _MISSING
from winnow.sources.structured.parts import StructureError
from winnow.sources.structured.structure import structure_reader

MOST_NAMES = 30
"""Names of fields that are shown."""
BEYOND_64_BITS = 2.0**63
"""Integers from here on, and below its negative, may come as floats."""


class BadRecordError(Exception):
    """One record cannot be read; the message is ``kind: detail``, and quotes no text.

    ``position`` is where it begins, in bytes of the stored file, for readers that know better than how far was read.
    """

    def __init__(self, reason: str, identity: str | None = None, size: int = 0, position: int | None = None) -> None:
        super().__init__(reason)
        self.identity = identity
        self.size = size
        self.position = position


Fields = tuple[str, str | None, list[str | None]]
"""Text, the user's id, and one value for each of ``source.carried``."""


def fields_reader(source: SourceConfig) -> Callable[..., Fields]:
    """A function of a record (and, for JSON, the line it was read from, which has every digit of large integers).

    It raises BadRecordError where the text, the structure or the label is missing or of a wrong type.
    """
    read_id = _reader_of(source.id) if source.id is not None else None
    read_kept = [_reader_of(name) for name in source.keep]
    read_text = _first_value([_reader_of(name) for name in source.texts])
    read_parts = [_reader_of(name) for name in source.structure_fields]
    read_structure = structure_reader(source) if read_parts else None
    label = source.label or ""
    read_label = _reader_of(label) if label else None

    def fields(record: dict[str, Any], line: bytes | bytearray = b"") -> Fields:
        try:
            return taken(record, line)
        except BadRecordError:
            raise
        except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
            raise BadRecordError(f"unreadable value: {type(error).__name__}") from error

    def taken(record: dict[str, Any], line: bytes | bytearray) -> Fields:
        identity = _as_text(_whole(read_id, record, line)) if read_id is not None else None
        kept = [_as_text(_whole(read, record, line)) for read in read_kept]
        if read_structure is not None:
            try:
                text, structure = read_structure([read(record) for read in read_parts])
            except StructureError as error:
                raise BadRecordError(str(error), identity) from error
            kept.append(structure)
        else:
            text = read_text(record)
            if type(text) is not str:
                raise BadRecordError(_no_text(text, source.text_name, record), identity)
        if read_label is not None:
            try:
                kept.append(label_text(read_label(record), label))
            except LabelError as error:
                raise BadRecordError(str(error), identity) from error
        return text, identity, kept

    return fields


def names_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """How fields of a record can be named, those inside objects with a dot; some at least, to be shown."""
    names: list[str] = []
    for name, value in islice(record.items(), MOST_NAMES):
        names += [f"{name}.{inner}" for inner in islice(value, MOST_NAMES)] if type(value) is dict and value else [name]
    return tuple(names[:MOST_NAMES])


def kind_of(value: Any) -> str:
    """What a value is, in JSON's words."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _reader_of(name: str) -> Callable[[dict[str, Any]], Any]:
    """A function that looks up a field; ``a.b`` is field b inside a, unless a field is itself called
    ``a.b``."""
    if "." not in name:
        return lambda record: record.get(name, _MISSING)
    path = name.split(".")

    def read(record: dict[str, Any]) -> Any:
        value: Any = record.get(name, _MISSING)
        if value is not _MISSING:
            return value
        value = record
        for key in path:
            if type(value) is not dict or key not in value:
                return _MISSING
            value = value[key]
        return value

    return read


def _first_value(reads: list[Callable[[dict[str, Any]], Any]]) -> Callable[[dict[str, Any]], Any]:
    """A function that gives the first field that has a value; null where all that are there have none."""
    if len(reads) == 1:
        return reads[0]

    def read(record: dict[str, Any]) -> Any:
        values = [value for one in reads if (value := one(record)) is not _MISSING]
        return next((value for value in values if value is not None), None if values else _MISSING)

    return read


def _whole(read: Callable[[Any], Any], record: Any, line: bytes | bytearray) -> Any:
    """A field's value; of an integer beyond 64 bits, which orjson gives as a float, every digit."""
    value = read(record)
    if type(value) is float and not -BEYOND_64_BITS < value < BEYOND_64_BITS:
        with suppress(ValueError):  # json reads no integer of over 4,300 digits, and no broken encoding
            return read(json.loads(line))
    return value


def _as_text(value: Any) -> str | None:
    """A string as it is, nothing for null or a missing field, else JSON text."""
    if type(value) is str:
        return value
    if type(value) is int:
        return str(value)
    return None if value is None or value is _MISSING else json_text(value)


def json_text(value: Any) -> str:
    """JSON of any value, NaN and infinities as Python writes them; what JSON has no form for as Python's text of it.

    Raises:
        BadRecordError: it is nested too deeply.
    """
    try:
        told = orjson.dumps(value, default=_plain).decode()
        if "null" not in told or not _has_no_json(value):
            return told  # orjson writes NaN as null
    except (TypeError, ValueError):  # over 254 levels, integers beyond 64 bits, lone surrogates, keys that are no text
        pass
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain, skipkeys=True)
    except (ValueError, RecursionError) as error:
        raise BadRecordError(f"unreadable value: a field is nested too deeply ({type(error).__name__})") from error


def _plain(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _has_no_json(value: Any) -> bool:
    """Whether there is a number in it that JSON has no form for."""
    if type(value) is float:
        return not math.isfinite(value)
    return type(value) in (dict, list) and any(map(_has_no_json, value.values() if type(value) is dict else value))


def _no_text(value: Any, field: str, record: dict[str, Any]) -> str:
    if value is _MISSING:
        present = ", ".join(name[:40] for name in list(record)[:12])
        return f"missing text: no field {field}; the record has: {present or 'nothing'}"
    if value is None:
        return f"null text: field {field} is null"
    return f"wrong type: field {field} is {kind_of(value)}, expected a string"
