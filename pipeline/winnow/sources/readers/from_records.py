"""Batches from records that come one by one as mappings: all that most formats with fields need."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from winnow.sources.fields import BadRecordError, fields_reader
from winnow.sources.records import MAX_ROWS, BatchBuilder, FileFaultError, RecordBatch, Unreadable
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile

_SURROGATE = re.compile("[\ud800-\udfff]")


def batches_of(
    records: Iterable[Mapping[str, Any] | BadRecordError],
    part: FileSlice,
    source: SourceConfig,
    file: StoredFile,
    batch_bytes: int,
) -> Iterator[RecordBatch]:
    """Batches of the records, in their order; rows are counted from ``part.first_row``.

    A ``BadRecordError`` among them is a record that could not be read. Text that was decoded with ``surrogateescape``
    (:func:`winnow.sources.readers.streams.open_text`) is treated as ``source.invalid_utf8`` says. The fields that the
    source names are taken by :func:`winnow.sources.fields.fields_reader`.

    Raises:
        FileFaultError: ``records`` raised it; everything before it has been yielded.
    """
    take_fields = fields_reader(source)
    batch = BatchBuilder(source.carried, position=file.position)
    row = part.first_row
    try:
        for record in records:
            if row >= MAX_ROWS:
                raise FileFaultError(f"too many rows: a file may have {MAX_ROWS:,} records; split it", file.position)
            try:
                if isinstance(record, BadRecordError):
                    raise record
                text, identity, kept = take_fields(record)
                size, replaced = len(text.encode(errors="surrogatepass")), False
                if size > source.max_document_bytes:
                    raise BadRecordError(
                        f"too large: a text of {size:,} bytes; max_document_mb is less", identity, size
                    )
                if _SURROGATE.search(text) or any(value and _SURROGATE.search(value) for value in (identity, *kept)):
                    if source.invalid_utf8 == "reject":
                        raise BadRecordError("invalid UTF-8: in a field of the record", None, size)
                    text, replaced = _unescaped(text), True
                    identity = None if identity is None else _unescaped(identity)
                    kept = [None if value is None else _unescaped(value) for value in kept]
                batch.add(row, text, identity, kept, size + sum(len(value) for value in (identity, *kept) if value))
                batch.replaced += replaced
            except BadRecordError as bad:
                batch.refuse(Unreadable(row, file.position, str(bad), bad.size, bad.identity))
            row += 1
            if batch.size >= batch_bytes:
                yield batch.take(file.position)
    except Exception:
        if batch:
            yield batch.take(file.position)
        raise
    if batch or file.position > batch.position:
        yield batch.take(file.position)


def _unescaped(text: str) -> str:
    """U+FFFD for what was no UTF-8 in the file."""
    try:
        return text.encode(errors="surrogateescape").decode(errors="replace")
    except UnicodeEncodeError:  # a surrogate that no escape made
        return _SURROGATE.sub("\ufffd", text)
