"""Where a file that is counted from front to back can be cut, and reading what is between two cuts.

Records that separators end are found by reading all before them; so are records of a compressed file. But its reading
can begin wherever a gzip member or a zstd frame does. Where it has one of these only, every part decompresses all text
before it, which costs little beside what is done with the text, as long as the parts are few.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from winnow.sources.readers import streams
from winnow.sources.readers.charset import wide_encoding
from winnow.sources.readers.reader import Piece
from winnow.sources.readers.split import split_chunks
from winnow.sources.readers.streams import Chunk, read_chunks
from winnow.sources.records import FileFaultError
from winnow.sources.slices import FileSlice
from winnow.sources.stored_file import StoredFile, compression_of
from winnow.sources.web.members import ZSTD_DICTIONARY, pieces_of

PIECE_BYTES = 8 << 20
"""Of text in a piece, at least; pieces are joined to units again. A cut is free where less text than that stands
between it and the member or frame before it."""
MOST_CUTS = {".zst": 8, ".gz": 4}
"""Pieces that are cut without regard to that: all together they decompress the file half so many times; .gz is slower
to decompress, and .bz2 and .xz, slower still, are not cut."""
SPLIT_COMPRESSIONS = tuple(MOST_CUTS)
HEAD_BYTES = 64 << 10
BLANK = b" \t\n\r\v\f"
"""A record between separators that is all of this is none."""
_COUNTED_RECORD_BYTES = 1 << 20
"""A record that is only counted is not held beyond that."""
_ENTRY_BYTES = 1 << 20
"""Members closer together than that are not all remembered."""


@dataclass
class Marks:
    """What is found while a text goes by."""

    places: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    """Where a record begins, and the records before it."""
    length: int = 0
    """Of the text before the chunk that is looked at."""
    rows: int = 0
    """Records that have ended."""
    ended: bool = True
    """Whether the last record has."""

    @property
    def next(self) -> int:
        """Where the next cut may be, at least."""
        return self.places[-1][0] + PIECE_BYTES

    def add(self, offset: int) -> None:
        """A record begins here."""
        self.places.append((offset, self.rows))


Count = Callable[[Iterator[Chunk], Marks], None]
Check = Callable[[bytes], None]


class _FaultyMemberError(Exception):
    """A file that does not consist of members that can be read one by one."""


def counted(file: StoredFile, compression: str, check: Check, count: Count) -> list[Piece]:
    """Pieces of a file.

    Args:
        file: at its front.
        compression: its suffix, or empty.
        check: is given the first bytes of the text, and raises FileFaultError where the file cannot be cut.
        count: goes over the text.

    Raises:
        FileFaultError, OSError: the file cannot be read, or not in parts. A guess here would give two documents the
            same number.
    """
    entries = [(0, 0)]  # decompressed bytes before a member, and where it begins as stored
    try:
        marks = _marked(_members(file, compression, entries) if compression else read_chunks(file, ""), check, count)
    except _FaultyMemberError:
        file.seek(0)
        entries = [(0, 0)]
        marks = _marked(read_chunks(file, compression), check, count)
    if not marks.length:
        return []
    places = [place for place in marks.places if place[0] < marks.length]
    before = [entries[bisect_right(entries, place, key=lambda e: e[0]) - 1] for place, _ in places]
    most = min(len(places), MOST_CUTS.get(compression, len(places)))
    chosen = {len(places) * at // most for at in range(most)}
    chosen |= {at for at, (place, _) in enumerate(places) if place - before[at][0] < PIECE_BYTES}
    kept = [(*places[at], *before[at]) for at in sorted(chosen)]
    kept.append((marks.length, marks.rows + (not marks.ended), 0, 0))
    return [
        Piece(start, stop, until - rows, stop - start, enter, missing)
        for (start, rows, missing, enter), (stop, until, _, _) in pairwise(kept)
    ]


def _marked(chunks: Iterator[Chunk], check: Check, count: Count) -> Marks:
    marks = Marks()

    def checked() -> Iterator[Chunk]:
        for number, chunk in enumerate(chunks):
            if number == 0:
                check_encoding(chunk.data[:HEAD_BYTES])
                check(chunk.data[:HEAD_BYTES])
            yield chunk
            marks.length += len(chunk.data)

    count(checked(), marks)
    return marks


def _members(file: StoredFile, compression: str, entries: list[tuple[int, int]]) -> Iterator[Chunk]:
    """The text; notes where members begin."""
    if file.read(4) == ZSTD_DICTIONARY:  # which is of web archives, and of no other files
        raise _FaultyMemberError
    file.seek(0)
    offset = 0
    for piece in pieces_of(file, compression):
        if piece.fault:
            raise _FaultyMemberError
        if piece.begins:
            if offset == entries[-1][0]:  # the one before holds nothing: a skippable frame
                entries.pop()
            if not entries or offset >= entries[-1][0] + _ENTRY_BYTES:
                entries.append((offset, piece.position))
        if piece.data:
            offset += len(piece.data)
            yield Chunk(piece.data, piece.position)
    file.check_size()


def check_encoding(head: bytes) -> None:
    """Look whether single bytes of a text mean what they do in ASCII.

    Raises:
        FileFaultError: they do not.
    """
    encoding = wide_encoding(head)
    if encoding:
        raise FileFaultError(f"not cut: the file seems to be {encoding}, where line ends are no single bytes", 0)


def separated_pieces(part: FileSlice, file: StoredFile) -> list[Piece]:
    """Pieces of a file whose records stand between ``part.separator``.

    Raises:
        FileFaultError, OSError: see :func:`counted`.
    """

    def count(chunks: Iterator[Chunk], marks: Marks) -> None:
        for group in split_chunks(chunks, part.separator, _COUNTED_RECORD_BYTES, BLANK):
            if group.fault is not None:
                raise group.fault
            if group.start >= marks.next:
                marks.add(group.start)
            marks.rows += len(group.records) + group.skipped

    return counted(file, compression_of(part.path), lambda _head: None, count)


def stretch(part: FileSlice, file: StoredFile) -> Iterator[Chunk]:
    """The bytes [start, stop) of a file's text; the file stands where its reading begins.

    Raises:
        FileFaultError: on reading, after everything before it.
    """
    compression = compression_of(part.path)
    stop = part.size if part.stop is None else part.stop
    if not compression:
        if part.start == 0:
            file.check_kind("")
        file.seek(part.start)
        return _bytes(file, stop)
    file.seek(part.enter)
    return _between(read_chunks(file, compression, enter=part.enter), part.before, part.start, stop)


def text_from(part: FileSlice, file: StoredFile) -> Iterator[Chunk]:
    """A file's text from ``part.start`` on, to its end: for records whose end is told by what is behind it.

    Raises:
        FileFaultError: on reading, after everything before it.
    """
    compression = compression_of(part.path)
    if not compression:
        file.seek(part.start)
        return _bytes(file, part.size)
    file.seek(part.enter)
    return _between(read_chunks(file, compression, enter=part.enter), part.before, part.start, 1 << 62)


def _bytes(file: StoredFile, stop: int) -> Iterator[Chunk]:
    while (at := file.position) < stop and (data := file.read(min(streams.CHUNK_BYTES, stop - at))):
        yield Chunk(data, at)
    if file.position < stop:
        file.check_size()


def _between(chunks: Iterator[Chunk], offset: int, start: int, stop: int) -> Iterator[Chunk]:
    """[start, stop) of a text of which what is before ``offset`` is missing."""
    for chunk in chunks:
        data = chunk.data[max(0, start - offset) : max(0, stop - offset)]
        offset += len(chunk.data)
        if data:
            yield Chunk(data, chunk.position)
        if offset >= stop:
            return
