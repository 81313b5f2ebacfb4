"""Archives of texts, pages and records: ``.tar``, compressed or not. Fields: ``member`` (its name), ``text``, those of
pages (see ``html.py``) and those of ``.json`` members."""

from collections.abc import Iterator

from winnow.sources.packed.documents import documents_of
from winnow.sources.packed.tar_members import tar_members
from winnow.sources.readers.charset import Charset
from winnow.sources.readers.from_records import batches_of
from winnow.sources.readers.reader import Reader
from winnow.sources.readers.streams import read_chunks
from winnow.sources.records import RecordBatch
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile, compression_of
from winnow.sources.web.page import PACKAGES

_SHORT = {".tgz": ".gz", ".tbz2": ".bz2", ".txz": ".xz", ".tzst": ".zst"}


def read_tar(file_slice: FileSlice, source: SourceConfig, file: StoredFile, batch_bytes: int) -> Iterator[RecordBatch]:
    """Read an archive from front to back; a row is a member of whatever kind.

    Raises:
        FileFaultError: after everything before it has been yielded.
    """
    path = file_slice.path
    compression = compression_of(path) or next((c for s, c in _SHORT.items() if path.lower().endswith(s)), "")
    chunks = read_chunks(file, compression)
    members = tar_members(chunks, exact=not compression)
    charset = Charset(source, file, path, is_text=False)
    yield from batches_of(documents_of(members, source, charset), file_slice, source, file, batch_bytes)


READER = Reader(name="tar", suffixes=(".tar", *_SHORT), read=read_tar, packages=("charset-normalizer", *PACKAGES))
