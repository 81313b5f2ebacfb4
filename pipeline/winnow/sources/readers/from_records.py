"""Batches from records that come one by one as mappings: all that most formats with fields need."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from winnow.sources.encoding import UTF_8
from winnow.sources.fields import BadRecordError, fields_reader, names_of
from winnow.sources.readers.charset import Charset, Decoded
from winnow.sources.records import MAX_ROWS, REPLACED, BatchBuilder, FileFaultError, RecordBatch, Unreadable
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
    charset = Charset(source, file, part.path)
    batch = BatchBuilder(source.carried, position=file.position)
    row = part.first_row
    try:
        for record in records:
            if row >= MAX_ROWS:
                raise FileFaultError(f"too many rows: a file may have {MAX_ROWS:,} records; split it", file.position)
            try:
                if isinstance(record, BadRecordError):
                    raise record
                batch.fields = batch.fields or names_of(record)
                text, identity, kept = take_fields(record)
                size, note = len(text.encode(errors="surrogatepass")), ""
                if size > source.max_document_bytes:
                    raise BadRecordError(
                        f"too large: a text of {size:,} bytes; max_document_mb is less", identity, size
                    )
                if charset.named != UTF_8 or any(v and _SURROGATE.search(v) for v in (text, identity, *kept)):
                    found = [None if v is None else _decoded(v, charset, size) for v in (text, identity, *kept)]
                    notes = [value.note for value in found if value is not None]
                    told = [None if value is None else value.text for value in found]
                    text, identity, kept = told[0] or "", told[1], told[2:]
                    note = next(filter(None, notes), "")
                batch.add(row, text, identity, kept, size + sum(len(value) for value in (identity, *kept) if value))
                batch.note(row, note)
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


def _decoded(text: str, charset: Charset, size: int) -> Decoded:
    """Text whose bytes were no UTF-8 in the file, in the source's encoding."""
    try:
        return charset.decode(text.encode(errors="surrogateescape"), "record")
    except BadRecordError as error:
        raise BadRecordError(str(error), None, size) from error
    except UnicodeEncodeError:  # a surrogate that no escape made
        return Decoded(_SURROGATE.sub("\ufffd", text), REPLACED)
