"""CSV and TSV: the first record names the fields, every further one is a document."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from winnow.sources.encoding import UTF_8
from winnow.sources.fields import MOST_NAMES, BadRecordError
from winnow.sources.readers.charset import Charset
from winnow.sources.readers.csv_columns import column_of
from winnow.sources.readers.csv_records import Block, CsvRecords, Row, names_in
from winnow.sources.readers.cuts import SPLIT_COMPRESSIONS, Marks, counted, text_from
from winnow.sources.readers.from_records import Noted, batches_of
from winnow.sources.readers.parquet_batches import cut, joined
from winnow.sources.readers.reader import Piece, Reader
from winnow.sources.readers.streams import Chunk
from winnow.sources.records import MAX_ROWS, FileFaultError, RecordBatch, Unreadable, nothing_read
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile, compression_of

_TABS = (".tsv", ".tab")


def read_csv(file_slice: FileSlice, source: SourceConfig, file: StoredFile, batch_bytes: int) -> Iterator[RecordBatch]:
    """Read a file, or the records that begin in [start, stop) of its text. Row 0 is the first record behind the header;
    blank lines are no records.

    Raises:
        FileFaultError: after everything before it has been yielded.
    """
    yield from joined(_batches(file_slice, source, file, batch_bytes), batch_bytes)


class _Table(NamedTuple):
    """A file whose header has been read."""

    names: list[str]
    wanted: list[str]
    """Of the columns that the source names, those that are there."""
    charset: Charset
    quote: int
    exact: bool
    """Whether offsets in the text are those of the stored file."""


def _batches(file_slice: FileSlice, source: SourceConfig, file: StoredFile, batch_bytes: int) -> Iterator[RecordBatch]:
    compression = compression_of(file_slice.path)
    delimiter = _delimiter(file_slice.path, source.delimiter)
    charset = Charset(source, file, file_slice.path, is_text=True)
    marks, most = (delimiter.encode(), source.quote.encode()), source.max_document_bytes
    records = CsvRecords(charset.chunks(), *marks, most)
    header = records.header()
    if 0 in header:
        raise FileFaultError("wrong format: zeros in the header; the file is no CSV, is damaged, or is UTF-16", 0)
    names = names_in(charset.decode(header, "header").text, delimiter, source.quote)
    wanted = [name for name in dict.fromkeys(_named(source)) if name in names]
    for name in wanted:
        if names.count(name) > 1:
            raise FileFaultError(f"malformed CSV: {names.count(name)} columns are called {name!r}", 0)
    table = _Table(names, wanted, charset, records.quote, not compression and not charset.stream)
    row, told = file_slice.first_row, 0
    if file_slice.start:
        records = CsvRecords(text_from(file_slice, file), *marks, most, file_slice.start)
        told = file.position
    found = records.blocks(len(names), [names.index(name) for name in wanted])
    for block in found if file_slice.stop is None else _before(found, file_slice.stop):
        number = len(block.records) if isinstance(block, Block) else 1
        if row + number > MAX_ROWS:
            raise FileFaultError(f"too many rows: a file may have {MAX_ROWS:,} records; split it", file.position)
        batches = None if isinstance(block, Row) else _columnar(block, table, source, row, file.position, batch_bytes)
        if batches is None:
            rows = iter([block]) if isinstance(block, Row) else map(block.row, range(number))
            part = replace(file_slice, first_row=row)
            batches = batches_of(_records(rows, table, source), part, source, file, batch_bytes)
        for batch in batches:
            fields = batch.fields or tuple(names[:MOST_NAMES])
            yield replace(batch, bytes_read=file.position - told, fields=fields)
            told = file.position
        row += number
    needed = source.texts if not source.structure_fields else source.structure_fields
    whole = not file_slice.start and file_slice.stop is None
    if names and not row and whole and records.fault is None and not set(needed) & set(names):
        raise FileFaultError(f"no records: the file has one line, and as a header it does not name {needed[0]!r}", 0)
    if file.position > told:
        yield nothing_read(source.carried, file.position - told)
    if records.fault is not None:
        raise records.fault


def _delimiter(path: str, given: str | None) -> str:
    bare = path[: len(path) - len(compression_of(path))].lower()
    return given or ("\t" if bare.endswith(_TABS) else ",")


def _before(blocks: Iterator[Block | Row], stop: int) -> Iterator[Block | Row]:
    """The records that begin before an offset of the text; where the last one ends may be told behind it."""
    for block in blocks:
        if isinstance(block, Row):
            if block.start >= stop:
                return
            yield block
            continue
        number = int(np.searchsorted(block.starts, stop))
        if number:
            yield block if number == len(block.records) else block.cut(number)
        if number < len(block.records):
            return


def _pieces(part: FileSlice, file: StoredFile) -> list[Piece]:
    """Cuts before records, all found by one reading of the file: whether a quote is open is told by all before it.

    What is found behind the begin of a record depends on nothing before it (``csv_records``), so any will do.
    """
    marks = _delimiter(part.path, part.settings["delimiter"]).encode(), part.settings["quote"].encode()

    def check(head: bytes) -> None:
        if b"\0" in head:
            raise FileFaultError("not cut: the file has zeros, and may be UTF-16", 0)

    def count(chunks: Iterator[Chunk], found: Marks) -> None:
        records = CsvRecords(chunks, *marks, part.settings["max_document_mb"] * 1_000_000)
        names = names_in(records.header().decode("latin-1"), *(mark.decode() for mark in marks))
        for block in records.blocks(len(names), []):
            starts = np.array([block.start]) if isinstance(block, Row) else block.starts
            before, at = found.rows, int(np.searchsorted(starts, found.next))
            while at < len(starts):
                found.rows = before + at
                found.add(int(starts[at]))
                at = int(np.searchsorted(starts, found.next))
            found.rows = before + len(starts)
        if records.fault is not None:
            raise records.fault

    return counted(file, compression_of(part.path), check, count)


def _columnar(
    block: Block, table: _Table, source: SourceConfig, first_row: int, position: int, batch_bytes: int
) -> Iterator[RecordBatch] | None:
    """Batches of a block whose records are plain texts in UTF-8; None for others."""
    text = next((name for name in source.texts if name in table.wanted), None)
    plain = source.is_prose and table.charset.named == UTF_8 and not table.charset.stream
    readable = block.readable
    if text is None or not plain or not readable.any():
        return None
    places = block.fields[readable]
    columns = {}
    for at, name in enumerate(table.wanted):
        columns[name] = column_of(block.data, places[:, at], table.quote)
        if columns[name] is None:
            return None
    return _cut(block, table, source, columns, text, first_row, position, batch_bytes)


def _cut(
    block: Block,
    table: _Table,
    source: SourceConfig,
    columns: dict[str, pa.Array],
    text: str,
    first_row: int,
    position: int,
    batch_bytes: int,
) -> Iterator[RecordBatch]:
    good = np.flatnonzero(block.readable)
    bad = [
        Unreadable(first_row + at, row.start if table.exact else position, row.reason, row.size)
        for at, row in ((at, block.row(at)) for at in np.flatnonzero(~block.readable).tolist())
    ]
    sizes = block.records[good, 1] - block.records[good, 0]
    for start, stop in cut(sizes, batch_bytes):
        last = int(good[stop]) if stop < len(good) else len(block.records)

        def of(name: str | None, start: int = start, stop: int = stop) -> pa.Array:
            found = columns.get(name or "")
            return pa.nulls(stop - start, pa.string()) if found is None else found[start:stop].cast(pa.string())

        yield RecordBatch(
            rows=(good[start:stop] + first_row).astype(np.uint32),
            ids=of(source.id),
            texts=columns[text][start:stop],
            keep={name: of(name) for name in source.keep},
            unreadable=[one for one in bad if one.row is not None and one.row < first_row + last],
            replaced=0,
            bytes_read=0,
        )
        bad = [one for one in bad if one.row is not None and one.row >= first_row + last]


def _records(rows: Iterator[Row], table: _Table, source: SourceConfig) -> Iterator[Noted | BadRecordError]:
    """The records of a block one by one, for all that is no plain text."""
    lacks_text = not source.structure_fields and not any(name in table.wanted for name in source.texts)
    others = dict.fromkeys(table.names[:MOST_NAMES], "") if lacks_text else {}
    for row in rows:
        try:
            yield _record(row, table, others)
        except BadRecordError as bad:
            yield BadRecordError(str(bad), None, row.size, row.start if table.exact else None)


def _record(row: Row, table: _Table, others: Mapping[str, Any]) -> Noted:
    if row.values is None:
        raise BadRecordError(row.reason)
    fields: dict[str, Any] = dict(others)
    notes: list[str] = []
    for name, value in zip(table.wanted, row.values, strict=True):
        fields[name], note = table.charset.decode(value, "record")
        if note and note not in notes:
            notes.append(note)
    return Noted(fields, tuple(notes[:1]), decoded=True)


def _named(source: SourceConfig) -> list[str]:
    """Columns that the source reads."""
    return [name for name in (*source.texts, source.id, source.label, *source.structure_fields, *source.keep) if name]


READER = Reader(
    name="csv",
    suffixes=(".csv", *_TABS),
    read=read_csv,
    pieces=_pieces,
    split_compressions=SPLIT_COMPRESSIONS,
    cut_by=("delimiter", "quote", "max_document_mb"),
    counted_whole=True,
)
