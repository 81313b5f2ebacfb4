"""JSON, one object a line.

orjson reads line by line, which is faster than a columnar JSON reader where most bytes are one long string,
and keeps every type as it was written. A line that it refuses is looked at again: bytes that are not UTF-8
and lone surrogates are replaced and counted; anything else is noted as unreadable with its reason.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import accumulate, chain, compress
from typing import Any

import orjson

from winnow.sources.encoding import UTF_8
from winnow.sources.fields import BadRecordError, fields_reader, kind_of, names_of
from winnow.sources.readers.charset import Charset
from winnow.sources.readers.cuts import SPLIT_COMPRESSIONS
from winnow.sources.readers.json_array import begins_array, split_array
from winnow.sources.readers.json_members import without_unread
from winnow.sources.readers.line_ranges import line_pieces, lines_of
from winnow.sources.readers.plain_json import PlainLines
from winnow.sources.readers.reader import Piece, Reader
from winnow.sources.readers.split import Group, Lines, split_chunks
from winnow.sources.readers.streams import Chunk
from winnow.sources.records import GUESSED, MAX_ROWS, REPLACED, BatchBuilder, FileFaultError, RecordBatch, Unreadable
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile, compression_of

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANK = b" \t\r"
_HEAD_BYTES = 64 << 10
"""Of a file, from which is told whether it is an array."""
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair of surrogates
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})"  # a lone one
    rb"|.)",
    re.DOTALL,
)
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_jsonl(
    file_slice: FileSlice, source: SourceConfig, file: StoredFile, batch_bytes: int
) -> Iterator[RecordBatch]:
    """Read a JSONL file, or its records whose first byte lies in [start, stop), counted in decompressed bytes.

    A record is a line that is not blank; its row is the number of line ends before it in the file, so the
    records of the ranges of a file are those of the whole file with the same rows. Of a file that is one JSON array,
    a record is an element, and its row the number of elements before it.

    Raises:
        FileFaultError: after everything before it has been yielded.
    """
    compression = compression_of(file_slice.path)
    row = file_slice.first_row
    first_byte = 0
    charset = Charset(source, file, file_slice.path, is_text=True)
    if charset.stream or (compression and file_slice.stop is None):
        chunks = charset.chunks()
    else:
        chunks, first_byte = lines_of(file_slice, file)
    maximum = source.max_document_bytes
    batch = BatchBuilder(source.carried, position=file.position)
    parse = _parser_of(source, charset, batch)
    at_front = file_slice.start == 0
    plain = None if charset.stream or charset.named != UTF_8 else PlainLines(source, longest=min(maximum, batch_bytes))
    groups, in_array = _records(chunks, file_slice, maximum, plain)
    for group in groups:
        records = group.records
        shift = 0
        if at_front:
            at_front = False
            if records and not in_array and records[0].startswith(BYTE_ORDER_MARK):
                records[0] = records[0][len(BYTE_ORDER_MARK) :]
                shift = len(BYTE_ORDER_MARK)
        if row + len(records) + group.skipped > MAX_ROWS:
            yield batch.take(file.position)
            raise FileFaultError(f"too many rows: a file may have {MAX_ROWS:,} lines; split it", group.position)
        offsets = group.offsets
        found = plain.read(records) if plain and isinstance(records, Lines) else None
        for index in found.steps() if found else _steps(group):
            if isinstance(index, range):
                assert found is not None
                batch.fields = batch.fields or names_of(orjson.loads(records[int(found.columns.rows[index.start])]))
                while index := found.add_to(batch, index, row, batch_bytes):
                    yield batch.take(file.position)
                if batch.size >= batch_bytes:
                    yield batch.take(file.position)
                continue
            line = records[index]
            dropped = group.dropped_bytes if index == 0 else 0
            try:
                if dropped or len(line) > maximum:
                    raise BadRecordError(
                        f"too large: a line of {dropped or len(line):,} bytes; max_document_mb is less"
                    )
                parsed = parse(line)
                if parsed is None:
                    continue
                batch.add(row + index, *parsed[:3], len(line))
                batch.note(row + index, parsed[3])
                parsed = None
            except BadRecordError as bad:
                if offsets is None:
                    offsets = _offsets(group, first_byte + shift)
                position = group.position if compression else offsets[index]
                reason = str(bad)
                if group.fault is not None:
                    reason = f"cut off: the file ends within the record ({group.fault.reason.split(':')[0]})"
                batch.refuse(Unreadable(row + index, position, reason, dropped or len(line), bad.identity))
            if batch.size >= batch_bytes:
                if len(line) >= batch_bytes:  # let go of a huge record while its batch is worked on
                    offsets = offsets or _offsets(group, first_byte + shift)
                    records[index] = line = b""
                yield batch.take(file.position)
        row += len(records) + group.skipped
        if group.unended and (batch or file.position > batch.position):
            yield batch.take(file.position)
        if group.fault is not None:
            raise group.fault


def _steps(group: Group) -> Iterator[int | range]:
    """Numbers of the records that are not empty: blank lines cost as little as can be."""
    first = (0,) if group.dropped_bytes else ()
    return chain(first, compress(range(len(group.records)), group.records))


_Parsed = tuple[str, str | None, list[str | None], str]


def _parser_of(
    source: SourceConfig, charset: Charset, batch: BatchBuilder
) -> Callable[[bytes | bytearray], _Parsed | None]:
    """What turns a line into text, id, kept fields, and what is to be noted of it; None for a blank line."""
    take_fields = fields_reader(source)
    wanted = _wanted(source)

    def parse(line: bytes | bytearray) -> _Parsed | None:
        note = GUESSED + charset.guessed_stream if charset.guessed_stream else ""
        if charset.named != UTF_8:
            text, note = charset.decode(line, "line")
            line = text.encode()
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            if not line.strip(_BLANK):
                return None
            line, more = _repair(line, charset)
            note = more or note
            value = _loads(line, wanted)
        if type(value) is not dict:
            raise BadRecordError(f"not an object: the line is {kind_of(value)}")
        batch.fields = batch.fields or names_of(value)
        text, identity, kept = take_fields(value, line)
        return text, identity, kept, note

    return parse


def _records(
    chunks: Iterator[Chunk], file_slice: FileSlice, maximum: int, plain: PlainLines | None
) -> tuple[Iterator[Group], bool]:
    """The lines of a stream, or the elements of the array that it is; and whether it is one."""
    split = None if plain is None else plain.split
    cut = partial(split_chunks, separator=b"\n", max_record_bytes=maximum, blank=b"\n" + _BLANK, split=split)
    if file_slice.start or file_slice.stop is not None:  # where a file is cut, it has lines: see _pieces
        return cut(chunks), False
    try:
        first = next(chunks, None)
    except FileFaultError as error:
        return iter([Group([b""], 0, error.position, unended=True, fault=error)]), False
    if first is None:
        return cut(chunks), False
    if not _is_array(first.data[:_HEAD_BYTES], file_slice.path):
        return cut(chain([first], chunks)), False
    if first.data.startswith(BYTE_ORDER_MARK):  # a blank instead, so that offsets stay
        first = Chunk(b"   " + first.data[len(BYTE_ORDER_MARK) :], first.position)
    return split_array(chain([first], chunks), maximum), True


def _is_array(head: bytes, path: str) -> bool:
    name = path[: len(path) - len(compression_of(path))].lower()
    return begins_array(head.removeprefix(BYTE_ORDER_MARK), by_suffix=name.endswith(".json"))


def _pieces(part: FileSlice, file: StoredFile) -> list[Piece]:
    def check(head: bytes) -> None:
        if _is_array(head, part.path) or b"\0" in head:
            raise FileFaultError("not cut: the file is a JSON array or UTF-16, which is read from front to back", 0)

    return line_pieces(part, file, check)


def _offsets(group: Group, first_byte: int) -> list[int]:
    """Offset of each record of a group, in a plain file whose stream begins at ``first_byte``."""
    lengths = [len(record) + 1 for record in group.records]
    if group.dropped_bytes:
        lengths[0] = group.dropped_bytes + 1
    return list(accumulate(lengths, initial=first_byte + group.start))


def _repair(line: bytes | bytearray, charset: Charset) -> tuple[bytes, str]:
    """A line that orjson refuses, in UTF-8 and without lone surrogates, and what is to be noted of it.

    Raises:
        BadRecordError: it is not in the source's encoding, and the source rejects such records.
    """
    try:
        line.decode()
        repaired, note = bytes(line), ""
    except UnicodeDecodeError:
        text, note = charset.decode(line, "line")
        repaired = text.encode()
    if _LONE_SURROGATE.search(repaired):
        whole = _ESCAPE.sub(lambda match: b"\\ufffd" if match[1] else match[0], repaired)
        if whole != repaired:
            repaired, note = whole, note or REPLACED
    return repaired, note


def _loads(line: bytes, wanted: frozenset[str]) -> Any:
    """The value of a line that orjson may have refused for what harms no record.

    That is: numbers that JSON has no form for (NaN, Infinity, 1e999); and, in fields that nobody reads, values that are
    nested too deeply, and integers of too many digits.

    Raises:
        BadRecordError: it is not JSON.
    """
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        try:
            return _any_number(line)
        except json.JSONDecodeError:
            if line.strip(_BLANK) in (b"{", b"["):
                raise BadRecordError(
                    "malformed JSON: a value that goes on over several lines; each line must be a record of its own "
                    "(`jq -c . FILE` writes it so)"
                ) from error
            raise BadRecordError(f"malformed JSON: {error.msg} at character {error.pos:,}") from error
        except (ValueError, RecursionError):
            line = without_unread(line, wanted)
        with suppress(ValueError, RecursionError):
            return _any_number(line)
        raise BadRecordError(f"malformed JSON: {error.msg}, in a field that is read") from error


def _any_number(line: bytes) -> Any:
    """As Python reads JSON: with NaN and infinities. Decoded here: of bytes it would guess the encoding."""
    return json.loads(line.decode())


def _wanted(source: SourceConfig) -> frozenset[str]:
    """Names at the top of a record that the source reads."""
    named = [name for name in (*source.texts, source.id, source.label, *source.structure_fields, *source.keep) if name]
    return frozenset([*named, *(name.split(".")[0] for name in named)])


READER = Reader(
    name="jsonl",
    suffixes=(".jsonl", ".ndjson", ".json"),
    read=read_jsonl,
    pieces=_pieces,
    by_bytes=True,
    split_compressions=SPLIT_COMPRESSIONS,
)
