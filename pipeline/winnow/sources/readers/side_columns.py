"""Columns of any Arrow type as text: ids, kept columns and labels. No value is without one, so none stops a file.

Legend: N rows of a batch.
"""

import contextlib
import uuid
from collections.abc import Callable
from functools import cache
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from winnow.sources.fields import BadRecordError, json_text

_STRINGS = (pa.string(), pa.large_string(), pa.string_view())
_BINARIES = (pa.binary(), pa.large_binary(), pa.binary_view())


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds strings or bytes, whatever is around them."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    return kind in _STRINGS or kind in _BINARIES


def as_binary(column: pa.Array) -> pa.Array:
    """Any string or binary column as large_binary, nothing checked. Parquet files do not vouch for their UTF-8."""
    column = _decoded(column)
    if column.type == pa.string_view():
        column = column.cast(pa.binary_view())
    elif column.type == pa.string():
        column = column.view(pa.binary())
    elif column.type == pa.large_string():
        column = column.view(pa.large_binary())
    return column.cast(pa.large_binary())


def _with_replaced(value: bytes) -> str:
    return value.decode(errors="replace")


def as_strings(
    column: pa.Array | None, rows: int, foreign: Callable[[bytes], str] = _with_replaced
) -> tuple[pa.Array, dict[int, str]]:
    """A column as string[N], and why single rows have none.

    Strings stay as they are and bytes are read as UTF-8, what is none as ``foreign`` says (else with U+FFFD); a UUID is
    written with hyphens, other bytes of a fixed size in hexadecimal digits. Numbers, dates and times have Arrow's text
    form (ISO 8601 with a blank), years beyond 9999, too. Nested values are JSON, with ISO 8601 for dates and times.

    Args:
        column: of any type; None gives nulls.
        rows: N.
        foreign: the text of a value that is not UTF-8; not of those inside nested values.
    """
    if column is None:
        return pa.nulls(rows, pa.string()), {}
    if isinstance(column.type, pa.DictionaryType) and not is_text(column.type):
        column = column.dictionary_decode()
    if is_text(column.type):
        raw = as_binary(column)
        try:
            return raw.cast(pa.string()), {}
        except pa.ArrowInvalid:
            return pa.array([None if v is None else _text_of(v, foreign) for v in raw.to_pylist()], pa.string()), {}
    nested, careful = pa.types.is_nested(column.type), _needs_care(column.type)
    if not careful:
        try:
            if nested:
                return pa.array([v if v is None else _dumped(v) for v in column.to_pylist()], pa.string()), {}
            plain = column.storage if isinstance(column, pa.ExtensionArray) else column
            return plain.cast(pa.string()), {}
        except (pa.ArrowException, *_AWKWARD):
            pass  # one by one
    return _one_by_one(column, as_they_are=nested and not careful)


def _text_of(value: bytes, foreign: Callable[[bytes], str]) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return foreign(value)


_AWKWARD = (ValueError, OverflowError, TypeError, RecursionError)


def _one_by_one(column: pa.Array, *, as_they_are: bool) -> tuple[pa.Array, dict[int, str]]:
    """The same, value by value: what a value becomes does not depend on those beside it."""
    texts: list[str | None] = []
    reasons: dict[int, str] = {}
    nested = pa.types.is_nested(column.type)
    for row, scalar in enumerate(column):
        text = None
        try:
            if as_they_are and scalar.is_valid:
                with contextlib.suppress(*_AWKWARD):
                    text = _dumped(scalar.as_py())
            if text is None:
                value = plain_value(scalar, nested=nested)
                text = value if value is None or not nested else json_text(value)
        except (BadRecordError, pa.ArrowException, *_AWKWARD) as error:
            reasons[row] = type(error).__name__
        texts.append(text)
    return pa.array(texts, pa.string()), reasons


def _dumped(value: Any) -> str:
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: Any) -> str:
    """Values inside nested columns that JSON has no form for."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _decoded(column: pa.Array) -> pa.Array:
    """A column without dictionary or extension type around its values."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.storage if isinstance(column, pa.ExtensionArray) else column


@cache
def _needs_care(kind: pa.DataType) -> bool:
    """Whether values are bytes that are no text, or hold times finer than Python's (pandas, if there, reads them)."""
    if isinstance(kind, pa.UuidType) or pa.types.is_fixed_size_binary(kind):
        return True
    if isinstance(kind, pa.DictionaryType):
        return _needs_care(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return _needs_care(kind.storage_type)
    if pa.types.is_struct(kind):
        names, kinds = [field.name for field in kind], [field.type for field in kind]
        return len(set(names)) < len(names) or any(_needs_care(part) or _is_fine(part) for part in kinds)
    if pa.types.is_map(kind):
        return any(_needs_care(part) or _is_fine(part) for part in (kind.key_type, kind.item_type))
    if pa.types.is_nested(kind) and not pa.types.is_union(kind):
        return _needs_care(kind.value_type) or _is_fine(kind.value_type)
    return False


def _is_fine(kind: pa.DataType) -> bool:
    """Whether nanoseconds count."""
    timed = pa.types.is_timestamp(kind) or pa.types.is_time(kind) or pa.types.is_duration(kind)
    return bool(timed and kind.unit == "ns")


def plain_value(scalar: pa.Scalar, *, nested: bool = True) -> Any:
    """A value as what JSON has a form for, bytes that are no UTF-8 replaced; as text where it is not ``nested``."""
    kind = scalar.type
    if not scalar.is_valid:
        return None
    if isinstance(kind, pa.UuidType):
        return str(uuid.UUID(bytes=scalar.value.as_py()))
    if isinstance(kind, pa.BaseExtensionType | pa.DictionaryType):
        return plain_value(scalar.value, nested=nested)
    if pa.types.is_map(kind):
        pairs = [(scalar.values.field(0)[at], scalar.values.field(1)[at]) for at in range(len(scalar.values))]
        return [[plain_value(part, nested=True) for part in pair] for pair in pairs]
    if pa.types.is_struct(kind):
        names = [field.name for field in kind]
        unique = [name if names.index(name) == at else f"{name}.{at}" for at, name in enumerate(names)]
        return {name: plain_value(scalar[at], nested=True) for at, name in enumerate(unique)}
    if pa.types.is_nested(kind):
        return [plain_value(item, nested=True) for item in scalar.values]
    if kind in _STRINGS or kind in _BINARIES:
        return scalar.as_buffer().to_pybytes().decode(errors="replace")
    if pa.types.is_fixed_size_binary(kind):
        return scalar.as_buffer().to_pybytes().hex()
    if pa.types.is_temporal(kind):
        return _time_text(scalar, "T" if nested else " ")
    value = scalar.as_py()
    return value if nested and isinstance(value, bool | int | float) else str(value)


def _time_text(scalar: pa.Scalar, between: str) -> str:
    """A date, time or duration in Arrow's text form; where that needs an unknown time zone, in UTC."""
    try:
        text = pc.cast(scalar, pa.string()).as_py()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if not pa.types.is_timestamp(scalar.type):
            return str(scalar.as_py())
        utc = pa.scalar(scalar.value, pa.int64()).cast(pa.timestamp(scalar.type.unit, "UTC"))
        text = pc.cast(utc, pa.string()).as_py()
    return str(text).replace(" ", between, 1)
