"""CSV and TSV: the first record names the fields, every further one is a document."""

from collections.abc import Iterator, Mapping
from typing import Any

from winnow.sources.fields import MOST_NAMES, BadRecordError
from winnow.sources.readers.charset import Charset
from winnow.sources.readers.csv_records import CsvRecords, Row, names_in
from winnow.sources.readers.from_records import Noted, batches_of
from winnow.sources.readers.reader import Reader
from winnow.sources.records import FileFaultError, RecordBatch
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile, compression_of

_TABS = (".tsv", ".tab")


def read_csv(file_slice: FileSlice, source: SourceConfig, file: StoredFile, batch_bytes: int) -> Iterator[RecordBatch]:
    """Read a file from front to back. Row 0 is the first record behind the header; blank lines are no records.

    Raises:
        FileFaultError: after everything before it has been yielded.
    """
    yield from batches_of(_records(file_slice, source, file), file_slice, source, file, batch_bytes)


def _records(
    file_slice: FileSlice, source: SourceConfig, file: StoredFile
) -> Iterator[Mapping[str, Any] | BadRecordError]:
    compression = compression_of(file_slice.path)
    bare = file_slice.path[: len(file_slice.path) - len(compression)].lower()
    delimiter = source.delimiter or ("\t" if bare.endswith(_TABS) else ",")
    charset = Charset(source, file, file_slice.path, is_text=True)
    table = CsvRecords(charset.chunks(), delimiter.encode(), source.quote.encode(), source.max_document_bytes)
    header = charset.decode(table.header(), "header")
    names = names_in(header.text, delimiter, source.quote)
    wanted = [name for name in dict.fromkeys(_named(source)) if name in names]
    _check_once(names, wanted)
    others = {} if any(name in names for name in source.texts) else dict.fromkeys(names[:MOST_NAMES], "")
    shown: dict[str, Any] = dict.fromkeys(names[:MOST_NAMES], "")  # of the first record all names are told
    exact = not compression and not charset.stream
    for row in table.rows(len(names), [names.index(name) for name in wanted]):
        try:
            yield _record(row, wanted, charset, shown or others)
        except BadRecordError as bad:
            yield BadRecordError(str(bad), None, row.size, row.start if exact else None)
        else:
            shown = {}
    if table.fault is not None:
        raise table.fault


def _record(row: Row, wanted: list[str], charset: Charset, others: Mapping[str, Any]) -> Noted:
    if row.values is None:
        raise BadRecordError(row.reason)
    fields: dict[str, Any] = dict(others)
    notes: list[str] = []
    for name, value in zip(wanted, row.values, strict=True):
        fields[name], note = charset.decode(value, "record")
        if note and note not in notes:
            notes.append(note)
    return Noted(fields, tuple(notes[:1]))


def _named(source: SourceConfig) -> list[str]:
    """Columns that the source reads."""
    return [name for name in (*source.texts, source.id, source.label, *source.structure_fields, *source.keep) if name]


def _check_once(names: list[str], wanted: list[str]) -> None:
    for name in wanted:
        if names.count(name) > 1:
            raise FileFaultError(f"malformed CSV: {names.count(name)} columns are called {name!r}", 0)


READER = Reader(name="csv", suffixes=(".csv", *_TABS), read=read_csv)
