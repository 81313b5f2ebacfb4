"""Parts of files of lines: how many lines begin in a range of bytes, and reading these.

A plain file can be entered anywhere. A compressed one is decompressed from its front for every part, which costs little
beside what is done with the text, as long as the parts are few.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

from winnow.sources.readers import streams
from winnow.sources.readers.charset import wide_encoding
from winnow.sources.readers.reader import Piece
from winnow.sources.readers.streams import Chunk, read_chunks
from winnow.sources.records import FileFaultError
from winnow.sources.slices import FileSlice
from winnow.sources.stored_file import StoredFile, compression_of

PIECE_BYTES = 8 << 20
"""Of text in a piece of a compressed file, at least; pieces are joined to units again."""
_MOST_PIECES = {".zst": 8, ".gz": 4}
"""All parts together decompress the file half so many times; .gz is slower to decompress, and .bz2 and .xz, slower
still, are not cut."""
SPLIT_COMPRESSIONS = tuple(_MOST_PIECES)
_HEAD_BYTES = 64 << 10


def line_pieces(part: FileSlice, file: StoredFile, check: Callable[[bytes], None] = lambda _head: None) -> list[Piece]:
    """The range [start, stop) of a plain file as one piece, or pieces of a compressed one, cut where lines begin.

    ``check`` is given the first bytes of the text, and raises FileFaultError where the file is not one of lines.

    Raises:
        FileFaultError, OSError: the file cannot be read, or not in parts. A guess here would give two documents the
            same number.
    """
    compression = compression_of(part.path)
    if compression:
        return _pieces_of_stream(file, compression, check)
    file.check_kind("")
    head = file.read(_HEAD_BYTES)
    _check_encoding(head)
    check(head)
    stop = part.size if part.stop is None else part.stop
    return [Piece(part.start, stop, count_lines(part, file), stop - part.start)]


def count_lines(part: FileSlice, file: StoredFile) -> int:
    """Number of lines that begin in the byte range [start, stop) of a plain file.

    The first row of a range is the sum of the counts of the ranges before it: that is the row of the first line that
    begins in it, and so of the first that is read with it.

    Raises:
        FileFaultError, OSError: the file cannot be read.
    """
    stop = part.size if part.stop is None else part.stop
    if stop <= part.start:
        return 0
    lines = int(part.start == 0)
    file.seek(max(0, part.start - 1))
    while file.position < stop - 1 and (data := file.read(min(stop - 1 - file.position, streams.CHUNK_BYTES))):
        lines += data.count(b"\n")
    return lines


def lines_of(part: FileSlice, file: StoredFile) -> tuple[Iterator[Chunk], int]:
    """The lines that begin in [start, stop), and the offset of the first one in the text.

    Raises:
        FileFaultError: on reading, after everything before it.
    """
    compression = compression_of(part.path)
    if compression:
        return _stretch(read_chunks(file, compression), part.start, part.stop or 0), part.start
    file.check_kind("")
    return _line_range(file, part)


def _check_encoding(head: bytes) -> None:
    encoding = wide_encoding(head)
    if encoding:
        raise FileFaultError(f"not cut: the file seems to be {encoding}, where line ends are no single bytes", 0)


def _pieces_of_stream(file: StoredFile, compression: str, check: Callable[[bytes], None]) -> list[Piece]:
    marks = [(0, 0)]  # where a line begins, and the lines before it
    offset = lines = 0
    ended = True
    for chunk in read_chunks(file, compression):
        data, counted = chunk.data, 0
        if offset == 0:
            _check_encoding(data[:_HEAD_BYTES])
            check(data[:_HEAD_BYTES])
        while (end := data.find(b"\n", max(0, marks[-1][0] + PIECE_BYTES - 1 - offset))) >= 0:
            lines += data.count(b"\n", counted, end + 1)
            counted = end + 1
            marks.append((offset + counted, lines))
        lines += data.count(b"\n", counted)
        offset += len(data)
        ended = data.endswith(b"\n")
    if offset == 0:
        return []
    if len(marks) > 1 and marks[-1][0] == offset:
        marks.pop()
    number = min(len(marks), _MOST_PIECES[compression])
    chosen = [marks[len(marks) * at // number] for at in range(number)] + [(offset, lines + (not ended))]
    return [Piece(start, stop, until - before, stop - start) for (start, before), (stop, until) in pairwise(chosen)]


def _stretch(chunks: Iterator[Chunk], start: int, stop: int) -> Iterator[Chunk]:
    """The bytes [start, stop) of a decompressed file."""
    offset = 0
    for chunk in chunks:
        data = chunk.data[max(0, start - offset) : max(0, stop - offset)]
        offset += len(chunk.data)
        if data:
            yield Chunk(data, chunk.position)
        if offset >= stop:
            return


def _line_range(file: StoredFile, part: FileSlice) -> tuple[Iterator[Chunk], int]:
    """The lines of a plain file that begin in [start, stop): their bytes, and the offset of the first one."""
    start = part.start
    stop = part.size if part.stop is None else part.stop
    carried = b""
    if stop <= start:
        return iter(()), stop
    if start > 0:
        file.seek(start - 1)
        while file.position < stop:
            carried = file.read(min(streams.CHUNK_BYTES, stop - file.position))
            if not carried:
                break
            end = carried.find(b"\n")
            if end >= 0:
                carried = carried[end + 1 :]
                break
            carried = b""
        else:
            return iter(()), stop
        if file.position >= stop and not carried:
            return iter(()), stop
    return _until_line_end(file, carried, stop), file.position - len(carried)


def _until_line_end(file: StoredFile, carried: bytes, stop: int) -> Iterator[Chunk]:
    """``carried``, then the bytes up to ``stop``, then on to the end of the line that lies across ``stop``."""
    data = carried
    if data:
        yield Chunk(data, file.position - len(data))
    while file.position < stop:
        position = file.position
        piece = file.read(min(streams.CHUNK_BYTES, stop - position))
        if not piece:
            break
        data = piece
        yield Chunk(data, position)
    if data.endswith(b"\n") and file.position >= stop:
        return
    while file.position >= stop:
        position = file.position
        data = file.read(64 << 10)
        if not data:
            break
        end = data.find(b"\n")
        if end >= 0:
            yield Chunk(data[: end + 1], position)
            return
        yield Chunk(data, position)
    file.check_size()
