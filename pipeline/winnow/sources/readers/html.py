"""Pages as files: each file is one document. Fields: ``text``, ``title``, ``charset``, ``charset_from``, ``licence``
and ``opt_out`` (see ``warc.py``)."""

from collections.abc import Iterator

from winnow.sources.fields import BadRecordError
from winnow.sources.readers.from_records import Noted, batches_of
from winnow.sources.readers.reader import Reader
from winnow.sources.readers.streams import read_chunks
from winnow.sources.records import RecordBatch
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile, compression_of
from winnow.sources.web.guard import MOST_PAGE_BYTES
from winnow.sources.web.page import PACKAGES
from winnow.sources.web.records import page_fields


def read_page(file_slice: FileSlice, source: SourceConfig, file: StoredFile, batch_bytes: int) -> Iterator[RecordBatch]:
    """Read a file with a page, row 0.

    Raises:
        FileFaultError: the file cannot be read.
    """
    yield from batches_of(_page(file_slice, source, file), file_slice, source, file, batch_bytes)


def _page(file_slice: FileSlice, source: SourceConfig, file: StoredFile) -> Iterator[Noted | BadRecordError]:
    page = bytearray()
    for chunk in read_chunks(file, compression_of(file_slice.path), wide=True):
        page += chunk.data
        if len(page) > MOST_PAGE_BYTES:
            yield BadRecordError(f"too large: a page of over {MOST_PAGE_BYTES:,} bytes", None, len(page), 0)
            return
    try:
        fields, notes = page_fields(bytes(page), source, xhtml=_is_xhtml(file_slice.path))
    except BadRecordError as error:
        yield BadRecordError(str(error), None, len(page), 0)
        return
    yield Noted(fields, tuple(notes), decoded=True)


def _is_xhtml(path: str) -> bool:
    return path.lower().removesuffix(compression_of(path)).endswith(".xhtml")


READER = Reader(
    name="html", suffixes=(".html", ".htm", ".xhtml"), read=read_page, packages=("charset-normalizer", *PACKAGES)
)
