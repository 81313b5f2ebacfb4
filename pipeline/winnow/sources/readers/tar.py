"""Archives of texts, pages and records: ``.tar``, compressed or not. Fields: ``member`` (its name), ``text``, those of
pages (see ``html.py``) and those of ``.json`` members."""

from collections.abc import Iterator
from itertools import pairwise, takewhile

from winnow.sources.packed.documents import documents_of
from winnow.sources.packed.member import FILE, RECORDS, Member, kind_of, stem_of
from winnow.sources.packed.tar_members import HoppedFile, ReadStream, tar_members
from winnow.sources.readers.charset import Charset
from winnow.sources.readers.cuts import text_from
from winnow.sources.readers.from_records import batches_of
from winnow.sources.readers.reader import Piece, Reader
from winnow.sources.readers.streams import read_chunks
from winnow.sources.records import FileFaultError, RecordBatch
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile, compression_of
from winnow.sources.web.page import PACKAGES

PIECE_BYTES = 8 << 20
"""Of an archive, in a piece at least; pieces are joined to units again."""
_SHORT = {".tgz": ".gz", ".tbz2": ".bz2", ".txz": ".xz", ".tzst": ".zst"}


def read_tar(file_slice: FileSlice, source: SourceConfig, file: StoredFile, batch_bytes: int) -> Iterator[RecordBatch]:
    """Read an archive, or the members of a plain one whose headers begin in [start, stop).

    A row is a member of whatever kind, or a line of one that holds records.

    Raises:
        FileFaultError: after everything before it has been yielded.
    """
    path = file_slice.path
    compression = _compression(path)
    chunks = text_from(file_slice, file) if file_slice.start else read_chunks(file, compression)
    members = tar_members(ReadStream(chunks, file_slice.start), exact=not compression)
    if file_slice.stop is not None and file_slice.stop < file_slice.size:
        members = _before(members, file_slice.stop)
    charset = Charset(source, file, path, is_text=False)
    yield from batches_of(documents_of(members, source, charset), file_slice, source, file, batch_bytes)


def _compression(path: str) -> str:
    return compression_of(path) or next((c for s, c in _SHORT.items() if path.lower().endswith(s)), "")


def _before(members: Iterator[Member], stop: int) -> Iterator[Member]:
    return takewhile(lambda member: member.entry is None or member.entry < stop, members)


def _pieces(part: FileSlice, file: StoredFile) -> list[Piece]:
    """Members side by side, told by their headers alone; those of one sample stay together."""
    if _compression(part.path):
        raise FileFaultError("not cut: a compressed archive is read from front to back", 0)
    file.check_kind("")
    found = [(0, 0)]  # where a piece begins, and the members before it
    before = ""
    number = 0
    for number, member in enumerate(tar_members(HoppedFile(file), exact=True), 1):
        if kind_of(member.name) == RECORDS and member.kind == FILE:
            raise FileFaultError("not cut: a member holds records, whose number nobody knows yet", 0)
        stem = stem_of(member.name)
        if member.entry is not None and member.entry - found[-1][0] >= PIECE_BYTES and stem != before:
            found.append((member.entry, number - 1))
        before = stem
    found.append((file.size, number))
    return [Piece(start, stop, until - members, stop - start) for (start, members), (stop, until) in pairwise(found)]


READER = Reader(
    name="tar",
    suffixes=(".tar", *_SHORT),
    read=read_tar,
    pieces=_pieces,
    counted_whole=True,
    packages=("charset-normalizer", *PACKAGES),
)
