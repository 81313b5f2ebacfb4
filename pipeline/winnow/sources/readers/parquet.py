"""Parquet: only the columns that are needed, row group by row group, in bounded batches.

Legend: N rows of a batch.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from winnow.sources.fields import BadRecordError
from winnow.sources.readers.charset import Charset, Decoded
from winnow.sources.readers.parquet_batches import MAX_BATCH_ROWS, Rows, cut, joined, row_bytes, rows_of
from winnow.sources.readers.parquet_columns import (
    check_columns,
    check_label,
    column_names,
    column_of,
    text_columns,
    type_of,
)
from winnow.sources.readers.reader import Piece, Reader
from winnow.sources.readers.side_columns import as_binary, as_strings, plain_value
from winnow.sources.records import (
    FOREIGN,
    MAX_ROWS,
    REPLACED,
    REPLACED_FIELD,
    BatchBuilder,
    FileFaultError,
    RecordBatch,
    Unreadable,
)
from winnow.sources.slices import FileSlice
from winnow.sources.source import LABEL, STRUCTURE, SourceConfig
from winnow.sources.stored_file import StoredFile, fault_of
from winnow.sources.structured.labels import MAX_LABEL_BYTES, fault_of_name
from winnow.sources.structured.parts import StructureError
from winnow.sources.structured.structure import structure_reader
from winnow.sources.watched_file import WatchedFile

_LOST = (REPLACED, FOREIGN)
"""Notes of what has U+FFFD in place of bytes."""
PIECE_BYTES = 8 << 20
"""A row group is cut into pieces of at least so much; they are joined to units again."""
MOST_PIECES_OF_A_GROUP = 8
"""A piece decodes the rows of its row group before it, too."""


def read_parquet(
    file_slice: FileSlice, source: SourceConfig, file: StoredFile, batch_bytes: int
) -> Iterator[RecordBatch]:
    """Read the rows [start, stop) of a file.

    The text column may be a string or binary of any kind, also dictionary-encoded; ``a.b`` names a field of a
    struct. A column named by ``id`` or ``keep`` that the file lacks is null throughout.

    Raises:
        FileFaultError: after the batches before it have been yielded.
    """
    file.check_kind("Parquet")
    watched = WatchedFile(file.raw)
    with _noted(watched, "Parquet footer", 0):
        parquet = pq.ParquetFile(watched)
        schema = parquet.schema_arrow
        metadata = parquet.metadata
    texts = source.structure_fields or text_columns(schema, source)
    wanted = [name for name in dict.fromkeys([*texts, source.id, *source.keep, source.label]) if name is not None]
    for name in texts:
        check_columns(schema, name, wanted, text=name not in source.listed_fields)
    if source.label is not None:
        check_label(schema, source.label, wanted)
    stop = metadata.num_rows if file_slice.stop is None else file_slice.stop
    if stop > metadata.num_rows:
        raise FileFaultError(f"shorter file: has {metadata.num_rows} rows, expected {stop}", file_slice.size)
    if stop > MAX_ROWS:
        raise FileFaultError(f"too many rows: a file may have {MAX_ROWS:,}; split it", 0)
    columns = [name for name in wanted if type_of(schema, name) is not None]
    charset = Charset(source, file, file_slice.path, is_text=False)
    batches = _groups(parquet, watched, file_slice.start, stop, source, charset, columns, batch_bytes)
    names = column_names(schema)
    yield from joined((dataclasses.replace(batch, fields=names) for batch in batches), batch_bytes)


def _groups(
    parquet: pq.ParquetFile,
    watched: WatchedFile,
    start: int,
    stop: int,
    source: SourceConfig,
    charset: Charset,
    columns: list[str],
    batch_bytes: int,
) -> Iterator[RecordBatch]:
    """Batches of the rows [start, stop), group by group."""
    first = 0
    for number in range(parquet.metadata.num_row_groups):
        with _noted(watched, f"Parquet row group {number}", 0):
            group_rows = parquet.metadata.row_group(number).num_rows
            end = first + group_rows
            first, row = end, first
            if end <= start or row >= stop:
                continue
            group = rows_of(parquet, watched, number, columns, batch_bytes, source.max_document_bytes)
        with _noted(watched, f"Parquet row group {number}", group.position):
            stored = group.stored * (min(end, stop) - max(row, start)) // (end - row)
            for table in group.batches:
                skipped = min(max(0, start - row), table.num_rows)
                wanted = table.slice(skipped, max(0, stop - row - skipped))
                for batch in _batches_of(wanted, source, charset, row + skipped, group.position, batch_bytes):
                    yield dataclasses.replace(batch, bytes_read=stored)
                    stored = 0
                row += table.num_rows
                if row >= stop:
                    break
            readable = end - group_rows + group.readable
            if row < min(readable, stop):
                raise FileFaultError(
                    f"corrupt file: Parquet row group {number} lacks {readable - row} of its rows", group.position
                )
            for batch in _refused_rows(group, readable, max(start, readable), min(end, stop), source):
                yield dataclasses.replace(batch, bytes_read=stored)
                stored = 0


def _refused_rows(group: Rows, large: int, start: int, stop: int, source: SourceConfig) -> Iterator[RecordBatch]:
    """The rows [start, stop) from the first one on that is too large to be built: Arrow cannot pass over it."""
    batch = BatchBuilder(source.carried)
    for row in range(start, stop):
        behind = f"behind row {large}, which Parquet cannot be read past: {group.reason}"
        reason = group.reason if row == large else behind
        batch.refuse(Unreadable(row, group.position, f"too large: {reason}", 0))
        if len(batch.unreadable) >= MAX_BATCH_ROWS:
            yield batch.take(0)
    if batch:
        yield batch.take(0)


def _pieces(file_slice: FileSlice, file: StoredFile) -> list[Piece]:
    """Stretches of rows that do not cross a row group."""
    watched = WatchedFile(file.raw)
    pieces: list[Piece] = []
    row = 0
    with _noted(watched, "Parquet footer", 0):
        metadata = pq.ParquetFile(watched).metadata
        for number in range(metadata.num_row_groups):
            rows, size = metadata.row_group(number).num_rows, metadata.row_group(number).total_byte_size
            number_of = max(1, min(MOST_PIECES_OF_A_GROUP, rows, size // PIECE_BYTES))
            cuts = [rows * at // number_of for at in range(number_of + 1)]
            pieces += [Piece(row + a, row + b, b - a, size * (b - a) // max(1, rows)) for a, b in pairwise(cuts)]
            row += rows
    return pieces


@contextlib.contextmanager
def _noted(file: WatchedFile, part: str, position: int) -> Iterator[None]:
    """Turns errors of the reader into ``FileFaultError``."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        if isinstance(error, MemoryError):
            raise
        if file.error is not None:
            raise fault_of(file.error, position) from error
        raise FileFaultError(f"corrupt file: {part}: {_line(error)}", position) from error


def _batches_of(
    table: pa.RecordBatch, source: SourceConfig, charset: Charset, first_row: int, position: int, batch_bytes: int
) -> Iterator[RecordBatch]:
    """Rows as batches of about ``batch_bytes``; a row that is too large is refused before anything of it is built."""
    maximum = source.max_document_bytes
    texts = source.structure_fields or text_columns(table.schema, source)
    names = dict.fromkeys(name for name in (*texts, source.id, *source.keep, source.label) if name is not None)
    columns = {name: column for name in names if (column := column_of(table, name)) is not None}
    sizes = {name: row_bytes(column) for name, column in columns.items()}
    of_texts = np.sum([sizes[name] for name in texts], axis=0)
    total = np.sum([size.astype(np.int64) for size in sizes.values()], axis=0)
    largest = np.max([of_texts, *sizes.values()], axis=0)
    total[largest > maximum] = batch_bytes + 1  # a range of its own
    for start, stop in cut(total, batch_bytes):
        if largest[start] <= maximum:
            yield from _converted(table.slice(start, stop - start), source, charset, first_row + start, position)
            continue
        size = int(largest[start])
        what = "a text" if of_texts[start] > maximum else f"column {max(sizes, key=lambda n: sizes[n][start])!r}"
        reason = f"too large: {what} of {size:,} bytes; max_document_mb is less"
        named = columns.get(source.id or "")
        if named is not None and sizes[source.id or ""][start] > maximum:
            named = None
        named = None if named is None else named.slice(start, 1)
        identity = as_strings(named, 1, lambda value: _id_text(value, charset).text)[0][0].as_py()
        yield _refused(source, Unreadable(first_row + start, position, reason, size, identity))


def _converted(
    table: pa.RecordBatch, source: SourceConfig, charset: Charset, first_row: int, position: int
) -> Iterator[RecordBatch]:
    """Rows as a batch; by halves where some value cannot be had, until the one row is found."""
    try:
        batch = _to_batch(table, source, charset, first_row, position)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it costs one record
        if table.num_rows == 1:
            reason = f"unreadable value: {type(error).__name__}"
            yield _refused(source, Unreadable(first_row, position, reason, table.nbytes))
            return
        middle = table.num_rows // 2
        yield from _converted(table.slice(0, middle), source, charset, first_row, position)
        yield from _converted(table.slice(middle), source, charset, first_row + middle, position)
    else:
        held = [batch]
        del batch  # whoever gets it is the only one that holds it
        yield held.pop()


def _texts(table: pa.RecordBatch, source: SourceConfig) -> pa.Array:
    """The text column as large_binary[N]; of several, in each row the first that has a value."""
    columns = [as_binary(column_of(table, name)) for name in text_columns(table.schema, source)]
    return pc.coalesce(*columns) if len(columns) > 1 else columns[0]


def _refused(source: SourceConfig, bad: Unreadable) -> RecordBatch:
    batch = BatchBuilder(source.carried)
    batch.refuse(bad)
    return batch.take(0)


def _to_batch(
    table: pa.RecordBatch, source: SourceConfig, charset: Charset, first_row: int, position: int
) -> RecordBatch:
    rows = np.arange(first_row, first_row + table.num_rows, dtype=np.uint32)
    awkward: dict[int, str] = {}
    damaged: dict[str, list[int]] = {}

    def strings(name: str, foreign: Callable[[bytes, Charset], Decoded] = _side_text) -> pa.Array:
        lost: set[bytes] = set()

        def told(value: bytes) -> str:
            text, note = foreign(value, charset)
            if note in _LOST:
                lost.add(value)
            return text

        column = column_of(table, name)
        values, reasons = as_strings(column, len(rows), told)
        if column is not None and lost:
            damaged[name] = [at for at, value in enumerate(as_binary(column).to_pylist()) if value in lost]
        for index, reason in reasons.items():
            awkward.setdefault(index, f"unreadable value: column {name!r} ({reason})")
        return values

    ids = pa.nulls(len(rows), pa.string()) if source.id is None else strings(source.id, _id_text)
    keep = {name: strings(name) for name in source.keep}
    structured = _structured(table, source) if source.structure_fields else None
    raw = _texts(table, source) if structured is None else structured.texts
    unreadable: list[Unreadable] = []
    readable = np.ones(len(raw), bool)

    def refuse(index: int, reason: str, size: int) -> None:
        readable[index] = False
        unreadable.append(Unreadable(int(rows[index]), position, reason, size, ids[index].as_py()))

    lengths = pc.fill_null(pc.binary_length(raw), -1).to_numpy(zero_copy_only=False)
    for index, reason in (awkward | (structured.reasons if structured else {})).items():
        refuse(index, reason, max(0, int(lengths[index])))
    for index in np.flatnonzero(readable & ((lengths < 0) | (lengths > source.max_document_bytes))).tolist():
        if lengths[index] < 0:
            refuse(index, f"null text: column {source.text_name} is null", 0)
        else:
            refuse(
                index,
                f"too large: a text of {lengths[index]:,} bytes; max_document_mb is less",
                lengths[index],
            )
    noted: dict[str, tuple[int, int]] = {}
    if structured and structured.replaced:
        noted[REPLACED] = len(structured.replaced), int(rows[structured.replaced[0]])
    try:
        texts = raw.cast(pa.large_string())  # checks every byte
    except pa.ArrowInvalid:
        values: list[str | None] = []
        for index, value in enumerate(raw.to_pylist()):
            text, note = None, ""
            try:
                if value is not None and readable[index]:
                    text, note = _decode(value, charset)
            except BadRecordError as bad:
                refuse(index, str(bad), len(value))
            if note:
                number, first = noted.get(note, (0, int(rows[index])))
                noted[note] = number + 1, first
            values.append(text)
        texts = pa.array(values, pa.large_string())
    if structured is not None:
        keep[STRUCTURE] = structured.structures
    if source.label is not None:
        keep[LABEL] = strings(source.label)
        sizes = pc.fill_null(pc.binary_length(keep[LABEL]), -1).to_numpy(zero_copy_only=False)
        for index in np.flatnonzero(readable & ((sizes < 1) | (sizes > MAX_LABEL_BYTES))).tolist():
            named = fault_of_name(int(sizes[index]), source.label) if sizes[index] >= 0 else None
            refuse(index, named or f"missing label: field {source.label!r} is null", int(lengths[index]))
    for name, places in damaged.items():
        if held := [at for at in places if readable[at]]:
            noted[REPLACED_FIELD + name] = len(held), int(rows[held[0]])
    if unreadable:
        unreadable.sort(key=lambda bad: bad.row or 0)
        mask = pa.array(readable)
        rows, texts, ids = rows[readable], texts.filter(mask), ids.filter(mask)
        keep = {name: values.filter(mask) for name, values in keep.items()}
    replaced = sum(noted[note][0] for note in (REPLACED, FOREIGN) if note in noted)
    return RecordBatch(rows, ids, texts, keep, unreadable, replaced, 0, noted)


class _Structured(NamedTuple):
    """Structured records of a batch."""

    texts: pa.Array
    """large_binary[N]; empty where a record is refused."""
    structures: pa.Array
    """string[N]."""
    reasons: dict[int, str]
    """Why records are refused."""
    replaced: list[int]
    """Records in which bytes that are not UTF-8 became U+FFFD."""


def _structured(table: pa.RecordBatch, source: SourceConfig) -> _Structured:
    read = structure_reader(source)
    columns = [column for name in source.structure_fields if (column := column_of(table, name)) is not None]
    texts, structures, reasons, replaced = [], [], dict[int, str](), list[int]()
    for index in range(table.num_rows):
        text, structure = "", None
        try:
            try:
                values = [column[index].as_py() for column in columns]
            except (ValueError, OverflowError) as error:  # not UTF-8, or a date that Python does not have
                if isinstance(error, UnicodeDecodeError) and source.invalid_utf8 == "reject":
                    raise StructureError(f"invalid UTF-8: byte {error.start:,} of a text") from error
                values = [plain_value(column[index]) for column in columns]
                if isinstance(error, UnicodeDecodeError):
                    replaced.append(index)
            text, structure = read(values)
        except StructureError as error:
            reasons[index] = str(error)
        texts.append(text.encode())
        structures.append(structure)
    return _Structured(pa.array(texts, pa.large_binary()), pa.array(structures, pa.string()), reasons, replaced)


def _decode(value: bytes, charset: Charset) -> tuple[str, str]:
    """The text, and what is to be noted of it: what is valid UTF-8 is that, whatever the source says of the rest."""
    try:
        return value.decode(), ""
    except UnicodeDecodeError:
        return charset.decode(value)


def _side_text(value: bytes, charset: Charset) -> Decoded:
    """The text of a kept field or label that is not UTF-8: in the source's encoding, with U+FFFD for what is none."""
    try:
        return charset.decode(value)
    except BadRecordError:  # only texts are rejected for it
        return Decoded(value.decode(errors="replace"), REPLACED)


def _id_text(value: bytes, charset: Charset) -> Decoded:
    """The same of an id; hexadecimal digits where characters would be lost, so that ids stay different (hashes)."""
    text, note = _side_text(value, charset)
    return Decoded(value.hex() if note in _LOST else text, note)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


READER = Reader(
    name="parquet", suffixes=(".parquet",), read=read_parquet, may_be_compressed=False, pieces=_pieces, text_a_byte=2.5
)
