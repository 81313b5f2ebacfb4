"""JSON, one object a line.

orjson reads line by line, which is faster than a columnar JSON reader where most bytes are one long string,
and keeps every type as it was written. A line that it refuses is looked at again: bytes that are not UTF-8
and lone surrogates are replaced and counted; anything else is noted as unreadable with its reason.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import accumulate
from typing import Any

import orjson

from winnow.sources.readers.split import Group, split_chunks
from winnow.sources.readers.streams import CHUNK_BYTES, Chunk, read_chunks
from winnow.sources.records import MAX_ROWS, BatchBuilder, FileFaultError, RecordBatch, Unreadable
from winnow.sources.slices import FileSlice, OpenBinary
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile, compression_of
from winnow.sources.structured.labels import LabelError, label_text
from winnow.sources.structured.structure import MISSING as _MISSING
from winnow.sources.structured.structure import StructureError, structure_reader

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BEYOND_64_BITS = 2.0**63
"""Integers from here on, and below its negative, may come as floats."""
_BLANK = b" \t\r"
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair of surrogates
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})"  # a lone one
    rb"|.)",
    re.DOTALL,
)
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class _BadRecordError(Exception):
    """One line cannot be read; the message is the reason."""

    def __init__(self, reason: str, identity: str | None = None) -> None:
        super().__init__(reason)
        self.identity = identity


def read_jsonl(
    file_slice: FileSlice, source: SourceConfig, file: StoredFile, batch_bytes: int
) -> Iterator[RecordBatch]:
    """Read a JSONL file, or the records of an uncompressed one whose first byte lies in [start, stop).

    A record is a line that is not blank; its row is the number of line ends before it in the file, so the
    records of the ranges of a file are those of the whole file with the same rows.

    Raises:
        FileFaultError: after everything before it has been yielded.
    """
    compression = compression_of(file_slice.path)
    row = file_slice.first_row
    first_byte = 0
    if compression:
        chunks = read_chunks(file, compression)
    else:
        file.check_kind("")
        chunks, first_byte, lines_skipped = _line_range(file, file_slice)
        row += lines_skipped
    maximum = source.max_document_bytes
    parse = _parser_of(source)
    batch = BatchBuilder(source.carried, position=file.position)
    at_front = file_slice.start == 0
    for group in split_chunks(chunks, b"\n", maximum):
        records = group.records
        shift = 0
        if at_front:
            at_front = False
            if records[0].startswith(BYTE_ORDER_MARK):
                records[0] = records[0][len(BYTE_ORDER_MARK) :]
                shift = len(BYTE_ORDER_MARK)
        if row + len(records) > MAX_ROWS:
            yield batch.take(file.position)
            raise FileFaultError(f"too many rows: a file may have {MAX_ROWS:,} lines; split it", group.position)
        offsets: list[int] | None = None
        for index in range(len(records)):
            line = records[index]
            dropped = group.dropped_bytes if index == 0 else 0
            if not line and not dropped:
                continue
            try:
                if dropped or len(line) > maximum:
                    raise _BadRecordError(
                        f"too large: a line of {dropped or len(line):,} bytes; max_document_mb is less"
                    )
                parsed = parse(line)
                if parsed is None:
                    continue
                batch.add(row + index, *parsed[:3], len(line))
                batch.replaced += parsed[3]
                parsed = None
            except _BadRecordError as bad:
                if offsets is None:
                    offsets = _offsets(group, first_byte + shift)
                position = group.position if compression else offsets[index]
                reason = str(bad)
                if group.fault is not None:
                    reason = f"cut off: the file ends within the line ({group.fault.reason.split(':')[0]})"
                batch.refuse(Unreadable(row + index, position, reason, dropped or len(line), bad.identity))
            if batch.size >= batch_bytes:
                if len(line) >= batch_bytes:  # let go of a huge record while its batch is worked on
                    offsets = offsets or _offsets(group, first_byte + shift)
                    records[index] = line = b""
                yield batch.take(file.position)
        row += len(records)
        if group.unended and (batch or file.position > batch.position):
            yield batch.take(file.position)
        if group.fault is not None:
            raise group.fault


_Parsed = tuple[str, str | None, list[str | None], bool]


def _parser_of(source: SourceConfig) -> Callable[[bytes | bytearray], _Parsed | None]:
    """What turns a line into text, id, kept fields, and whether something was replaced; None for a blank line."""
    read_id = _reader_of(source.id) if source.id is not None else None
    read_kept = [_reader_of(name) for name in source.keep]
    read_text = _reader_of(source.text)
    read_parts = [_reader_of(name) for name in source.structure_fields]
    read_structure = structure_reader(source) if read_parts else None
    label = source.label or ""
    read_label = _reader_of(label) if label else None

    def parse(line: bytes | bytearray) -> _Parsed | None:
        replaced = False
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            if not line.strip(_BLANK):
                return None
            value, replaced = _repair(line, error, source.invalid_utf8 == "replace")
        if type(value) is not dict:
            raise _BadRecordError(f"not an object: the line is {_kind(value)}")
        identity = _as_text(_whole(read_id, value, line)) if read_id is not None else None
        kept = [_as_text(_whole(read, value, line)) for read in read_kept]
        if read_structure is not None:
            try:
                text, structure = read_structure([read(value) for read in read_parts])
            except StructureError as error:
                raise _BadRecordError(str(error), identity) from error
            kept.append(structure)
        else:
            text = read_text(value)
            if type(text) is not str:
                raise _BadRecordError(_no_text(text, source.text, value), identity)
        if read_label is not None:
            try:
                kept.append(label_text(read_label(value), label))
            except LabelError as error:
                raise _BadRecordError(str(error), identity) from error
        return text, identity, kept, replaced

    return parse


def count_lines(file_slice: FileSlice, open_binary: OpenBinary) -> int:
    """Number of line ends (bytes 0x0a) in the byte range [start, stop) of an uncompressed file.

    The first row of a range is the sum of the counts of the ranges before it: that is the row of the line in
    which byte ``start`` lies. A range that begins inside a line leaves that line to the range before and
    starts one later.

    Raises:
        OSError: the file cannot be read. A guess here would give two documents the same number.
    """
    stop = file_slice.size if file_slice.stop is None else file_slice.stop
    left = stop - file_slice.start
    lines = 0
    with open_binary(file_slice.path) as file:
        file.seek(file_slice.start)
        while left > 0 and (data := file.read(min(left, CHUNK_BYTES))):
            lines += data.count(b"\n")
            left -= len(data)
    return lines


def _line_range(file: StoredFile, file_slice: FileSlice) -> tuple[Iterator[Chunk], int, int]:
    """The lines of a plain file that begin in [start, stop).

    Returns:
        Their bytes, the offset of the first one, and the number of line ends between ``start`` and it.
    """
    start = file_slice.start
    stop = file_slice.size if file_slice.stop is None else file_slice.stop
    lines_skipped = 0
    carried = b""
    if stop <= start:
        return iter(()), stop, 0
    if start > 0:
        file.seek(start - 1)
        while file.position < stop:
            where = file.position
            carried = file.read(min(CHUNK_BYTES, stop - where))
            if not carried:
                break
            end = carried.find(b"\n")
            if end >= 0:
                lines_skipped = int(where + end >= start)
                carried = carried[end + 1 :]
                break
            carried = b""
        else:
            return iter(()), stop, 0
        if file.position >= stop and not carried:
            return iter(()), stop, 0
    return _until_line_end(file, carried, stop), file.position - len(carried), lines_skipped


def _until_line_end(file: StoredFile, carried: bytes, stop: int) -> Iterator[Chunk]:
    """``carried``, then the bytes up to ``stop``, then on to the end of the line that lies across
    ``stop``."""
    data = carried
    if data:
        yield Chunk(data, file.position - len(data))
    while file.position < stop:
        position = file.position
        piece = file.read(min(CHUNK_BYTES, stop - position))
        if not piece:
            break
        data = piece
        yield Chunk(data, position)
    if data.endswith(b"\n") and file.position >= stop:
        return
    while file.position >= stop:
        position = file.position
        data = file.read(64 << 10)
        if not data:
            break
        end = data.find(b"\n")
        if end >= 0:
            yield Chunk(data[: end + 1], position)
            return
        yield Chunk(data, position)
    file.check_size()


def _offsets(group: Group, first_byte: int) -> list[int]:
    """Offset of each record of a group, in a plain file whose stream begins at ``first_byte``."""
    lengths = [len(record) + 1 for record in group.records]
    if group.dropped_bytes:
        lengths[0] = group.dropped_bytes + 1
    return list(accumulate(lengths, initial=first_byte + group.start))


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
    return None if value is None or value is _MISSING else orjson.dumps(value).decode()


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _no_text(value: Any, field: str, record: dict[str, Any]) -> str:
    if value is _MISSING:
        present = ", ".join(name[:40] for name in list(record)[:12])
        return f"missing text: no field {field!r}; the record has: {present or 'nothing'}"
    if value is None:
        return f"null text: field {field!r} is null"
    return f"wrong type: field {field!r} is {_kind(value)}, expected a string"


def _repair(line: bytes | bytearray, error: orjson.JSONDecodeError, replace_bytes: bool) -> tuple[Any, bool]:
    """Read a line that orjson refuses, where only its encoding is at fault.

    Returns:
        The value, and True.

    Raises:
        _BadRecordError: it is not JSON, or not UTF-8 and ``replace_bytes`` is False.
    """
    repaired = bytes(line)
    try:
        repaired.decode()
    except UnicodeDecodeError as wrong:
        if not replace_bytes:
            raise _BadRecordError(f"invalid UTF-8: byte {wrong.start:,} of the line") from wrong
        repaired = repaired.decode(errors="replace").encode()
    if _LONE_SURROGATE.search(repaired):
        repaired = _ESCAPE.sub(lambda match: b"\\ufffd" if match[1] else match[0], repaired)
    if len(repaired) == len(line) and repaired == line:
        raise _BadRecordError(f"malformed JSON: {error.msg} at character {error.pos:,}") from error
    try:
        return orjson.loads(repaired), True
    except orjson.JSONDecodeError as still:
        raise _BadRecordError(f"malformed JSON: {still.msg} at character {still.pos:,}") from still
