"""Batches from records that come one by one as mappings: all that most formats with fields need."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from winnow.sources.encoding import UTF_8
from winnow.sources.fields import BadRecordError, fields_reader, names_of
from winnow.sources.readers.charset import Charset, Decoded
from winnow.sources.records import MAX_ROWS, REPLACED, BatchBuilder, FileFaultError, RecordBatch, Unreadable
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile


class Passed(NamedTuple):
    """A record of the file that is no document, such as the request beside a response; it has a row."""

    what: str
    """One of few kinds, which are counted."""


class Noted(dict[str, Any]):
    """A record with something to be told of how it was read.

    Args:
        fields: the record.
        notes: each is counted.
        decoded: the reader has looked at the source's encoding itself, or the file says its own.
    """

    def __init__(self, fields: Mapping[str, Any], notes: tuple[str, ...], *, decoded: bool = False) -> None:
        super().__init__(fields)
        self.notes = notes
        self.decoded = decoded


_SURROGATE = re.compile("[\ud800-\udfff]")


def batches_of(
    records: Iterable[Mapping[str, Any] | BadRecordError | Passed],
    part: FileSlice,
    source: SourceConfig,
    file: StoredFile,
    batch_bytes: int,
) -> Iterator[RecordBatch]:
    """Batches of the records, in their order; rows are counted from ``part.first_row``.

    A ``BadRecordError`` among them is a record that could not be read, a ``Passed`` one that is no document, and a
    ``Noted`` one has notes that are counted by source. Text that was decoded with ``surrogateescape``
    (:func:`winnow.sources.readers.streams.open_text`) is treated as ``source.invalid_utf8`` says. The fields that the
    source names are taken by :func:`winnow.sources.fields.fields_reader`.

    Raises:
        FileFaultError: ``records`` raised it; everything before it has been yielded.
    """
    take_fields = fields_reader(source)
    charset = Charset(source, file, part.path, is_text=False)
    batch = BatchBuilder(source.carried, position=file.position)
    row = part.first_row
    try:
        for record in records:
            if row >= MAX_ROWS:
                raise FileFaultError(f"too many rows: a file may have {MAX_ROWS:,} records; split it", file.position)
            try:
                if isinstance(record, BadRecordError):
                    raise record
                if isinstance(record, Passed):
                    batch.passed[record.what] = batch.passed.get(record.what, 0) + 1
                    row += 1
                    continue
                batch.fields = batch.fields or names_of(record)
                text, identity, kept = take_fields(record)
                (size, has_surrogates), note = _size_of(text), ""
                if size > source.max_document_bytes:
                    raise BadRecordError(
                        f"too large: a text of {size:,} bytes; max_document_mb is less", identity, size
                    )
                decoded = getattr(record, "decoded", False)
                foreign = charset.named != UTF_8 and not decoded
                if foreign or has_surrogates or any(v and _SURROGATE.search(v) for v in (identity, *kept)):
                    within = None if decoded else charset
                    found = [None if v is None else _decoded(v, within, size) for v in (text, identity, *kept)]
                    notes = [value.note for value in found if value is not None]
                    strings = [None if value is None else value.text for value in found]
                    text, identity, kept = strings[0] or "", strings[1], strings[2:]
                    note = next(filter(None, notes), "")
                batch.add(row, text, identity, kept, size + sum(len(value) for value in (identity, *kept) if value))
                for told in (note, *getattr(record, "notes", ())):
                    batch.note(row, told)
            except BadRecordError as bad:
                position = file.position if bad.position is None else bad.position
                batch.refuse(Unreadable(row, position, str(bad), bad.size, bad.identity))
            row += 1
            if batch.size >= batch_bytes:
                yield batch.take(file.position)
    except Exception:
        if batch:
            yield batch.take(file.position)
        raise
    if batch or file.position > batch.position:
        yield batch.take(file.position)


def _size_of(text: str) -> tuple[int, bool]:
    """Bytes of a text in UTF-8, and whether there are surrogates in it."""
    try:
        return len(text.encode()), False
    except UnicodeEncodeError:
        return len(text.encode(errors="surrogatepass")), True


def _decoded(text: str, charset: Charset | None, size: int) -> Decoded:
    """Text whose bytes were no UTF-8 in the file, in the source's encoding; None where the text is decoded already."""
    if charset is None:
        whole = _SURROGATE.sub("\ufffd", text)
        return Decoded(whole, REPLACED if whole != text else "")
    try:
        return charset.decode(text.encode(errors="surrogateescape"), "record")
    except BadRecordError as error:
        raise BadRecordError(str(error), None, size) from error
    except UnicodeEncodeError:  # a surrogate that no escape made
        return Decoded(_SURROGATE.sub("\ufffd", text), REPLACED)
