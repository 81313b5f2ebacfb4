"""Archives of texts, pages and records: ``.zip``. Fields as in ``tar.py``. Rows are members in the zip's directory."""

from collections.abc import Iterator

from winnow.sources.packed.documents import documents_of
from winnow.sources.packed.member import RECORDS, Member, kind_of, stem_of
from winnow.sources.packed.zip_members import ZipMembers
from winnow.sources.readers.charset import Charset
from winnow.sources.readers.from_records import batches_of
from winnow.sources.readers.reader import Piece, Reader
from winnow.sources.records import FileFaultError, RecordBatch
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile
from winnow.sources.web.page import PACKAGES

PIECE_BYTES = 8 << 20
"""Of members, in a piece at least; pieces are joined to units again."""


def read_zip(file_slice: FileSlice, source: SourceConfig, file: StoredFile, batch_bytes: int) -> Iterator[RecordBatch]:
    """Read the members [start, stop) of the directory.

    Raises:
        FileFaultError: after everything before it has been yielded.
    """
    members = ZipMembers(file)
    stop = len(members.infos) if file_slice.stop is None else file_slice.stop
    charset = Charset(source, file, file_slice.path, is_text=False)
    file.position = _share(file.size, file_slice.start, len(members.infos))

    def found() -> Iterator[Member]:
        for number in range(file_slice.start, stop):
            yield members.member(number)
            file.position = _share(file.size, number + 1, len(members.infos))

    if not members.infos:
        file.position = file.size
    yield from batches_of(documents_of(found(), source, charset), file_slice, source, file, batch_bytes)


def _share(size: int, members: int, of: int) -> int:
    """Stored bytes that so many members count as: the directory's order need not be that of the file."""
    return size * members // max(1, of)


def _pieces(_file_slice: FileSlice, file: StoredFile) -> list[Piece]:
    """Members side by side in the directory; those of one sample stay together."""
    infos = ZipMembers(file).infos
    if any(kind_of(info.filename) == RECORDS for info in infos):
        raise FileFaultError("not cut: a member of the zip file holds records, whose number nobody knows yet", 0)
    pieces: list[Piece] = []
    begin = size = 0
    for number, info in enumerate(infos):
        if size >= PIECE_BYTES and stem_of(info.filename) != stem_of(infos[number - 1].filename):
            pieces.append(Piece(begin, number, number - begin, size))
            begin, size = number, 0
        size += info.file_size
    if infos:
        pieces.append(Piece(begin, len(infos), len(infos) - begin, size))
    return pieces


READER = Reader(
    name="zip",
    suffixes=(".zip",),
    read=read_zip,
    may_be_compressed=False,
    pieces=_pieces,
    text_a_byte=3.0,
    packages=("charset-normalizer", *PACKAGES),
)
