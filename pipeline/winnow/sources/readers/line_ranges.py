"""Parts of files of lines: how many lines begin in a range of bytes, and reading these.

A plain file can be entered anywhere, a compressed one where the counting pass found a member or frame.
"""

from collections.abc import Callable, Iterator

from winnow.sources.readers import streams
from winnow.sources.readers.cuts import HEAD_BYTES, Marks, check_encoding, counted, stretch
from winnow.sources.readers.reader import Piece
from winnow.sources.readers.streams import Chunk
from winnow.sources.slices import FileSlice
from winnow.sources.stored_file import StoredFile, compression_of


def line_pieces(part: FileSlice, file: StoredFile, check: Callable[[bytes], None] = lambda _head: None) -> list[Piece]:
    """The range [start, stop) of a plain file as one piece, or pieces of a compressed one, cut where lines begin.

    ``check`` is given the first bytes of the text, and raises FileFaultError where the file is not one of lines.

    Raises:
        FileFaultError, OSError: the file cannot be read, or not in parts. A guess here would give two documents the
            same number.
    """
    compression = compression_of(part.path)
    if compression:
        return counted(file, compression, check, _line_marks)
    file.check_kind("")
    head = file.read(HEAD_BYTES)
    check_encoding(head)
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
        return stretch(part, file), part.start
    file.check_kind("")
    return _line_range(file, part)


def _line_marks(chunks: Iterator[Chunk], marks: Marks) -> None:
    for chunk in chunks:
        data, done = chunk.data, 0
        while (end := data.find(b"\n", max(0, marks.next - 1 - marks.length))) >= 0:
            marks.rows += data.count(b"\n", done, end + 1)
            done = end + 1
            marks.add(marks.length + done)
        marks.rows += data.count(b"\n", done)
        marks.ended = data.endswith(b"\n")


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
