"""Members of a tar archive (ustar, PAX, GNU, old ones) out of a stream, in memory of one member at most.

A header whose checksum is wrong costs what lies up to the next header that is right. Blocks of zeros are passed over
wherever they stand, so archives that were joined are read to their end.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from winnow.sources.fields import BadRecordError
from winnow.sources.packed.member import DEVICE, FILE, FOLDER, LINK, Member
from winnow.sources.readers.streams import Chunk
from winnow.sources.records import FileFaultError
from winnow.sources.stored_file import StoredFile

BLOCK = 512
_ZEROS = bytes(BLOCK)
_PIECE_BYTES = 1 << 20
MOST_NAME_BYTES = 64 << 10
MOST_PAX_BYTES = 1 << 20
_DIGITS = 19  # of a size: no file is larger
_PAX = (b"path", b"size")
_SPARSE = b"GNU.sparse."  # in all three forms, of which the older two say nothing else of it
_KINDS = {b"1": LINK, b"2": LINK, b"3": DEVICE, b"4": DEVICE, b"6": DEVICE, b"5": FOLDER}
_FILES = (b"0", b"\0", b"7")


class Stream(Protocol):
    """A text of which bytes are taken or passed over."""

    offset: int
    fault: FileFaultError | None

    def take(self, size: int) -> bytes:
        """So many bytes; fewer at the end."""

    def skip(self, size: int) -> int:
        """Pass over so many bytes; returns how many are missing at the end."""


class HoppedFile:
    """A plain file, of which nothing is read that is passed over."""

    def __init__(self, file: StoredFile) -> None:
        self._file = file
        self.offset = 0
        self.fault: FileFaultError | None = None
        if expect := getattr(file.raw, "expect", None):  # of an object: in large blocks
            expect(file.size)

    def take(self, size: int) -> bytes:
        """As :class:`Stream`."""
        if self._file.position != self.offset:
            self._file.seek(self.offset)
        data = self._file.read(size)
        self.offset += len(data)
        return data

    def skip(self, size: int) -> int:
        """As :class:`Stream`."""
        passed = min(size, max(0, self._file.size - self.offset))
        self.offset += passed
        return size - passed


class ReadStream:
    """A stream of chunks, the first of which begins at ``offset``."""

    def __init__(self, chunks: Iterator[Chunk], offset: int = 0) -> None:
        self._chunks = chunks
        self._data = memoryview(b"")
        self.offset = offset
        self.fault: FileFaultError | None = None

    def take(self, size: int) -> bytes:
        """As :class:`Stream`."""
        parts = []
        while size and (self._data or self._more()):
            part = self._data[:size]
            self._data = self._data[len(part) :]
            size -= len(part)
            self.offset += len(part)
            parts.append(part)
        return b"".join(parts)

    def skip(self, size: int) -> int:
        """As :class:`Stream`."""
        while size and (self._data or self._more()):
            part = min(size, len(self._data))
            self._data = self._data[part:]
            self.offset += part
            size -= part
        return size

    def _more(self) -> bool:
        try:
            chunk = next(self._chunks, None)
        except FileFaultError as error:
            self.fault, chunk = error, None
        self._data = memoryview(b"" if chunk is None else chunk.data)
        return chunk is not None


class _Header(NamedTuple):
    name: bytes
    size: int
    kind: bytes
    is_sparse_further: bool


def tar_members(stream: Stream, *, exact: bool) -> Iterator[Member]:
    """The members in their order.

    Args:
        stream: the archive, from its beginning or from the ``entry`` of a member on.
        exact: whether offsets of the stream are those of the stored file.

    Raises:
        FileFaultError: the archive ends too early, or its stream has a fault.
    """
    long_name, pax, ended, first = b"", dict[bytes, bytes](), False, True
    entry = -1  # where what tells of the next member begins; -1 where nothing has come of it
    while True:
        begin = stream.offset
        block = stream.take(BLOCK)
        if len(block) < BLOCK:
            ended &= not block
            break
        if block == _ZEROS:
            ended = True
            continue
        entry = begin if entry < 0 else entry
        header = _header_of(block)
        if header is None:
            if first:
                raise FileFaultError("wrong format: the name says tar, but the file does not begin like it", 0)
            header = _found_again(stream)
            broken = stream.offset - (BLOCK if header else 0) - begin
            yield _faulty("", broken, begin if exact else None, "corrupt member: its header is damaged")
            if header is None:
                break
            long_name, pax, begin = b"", {}, stream.offset - BLOCK
            entry = begin
        first, ended = False, False
        if header.kind in (b"L", b"x", b"X"):  # X: as x, of Solaris
            data = _told(stream, header, MOST_NAME_BYTES if header.kind == b"L" else MOST_PAX_BYTES)
            long_name, pax = (data.rstrip(b"\0"), pax) if header.kind == b"L" else (long_name, pax | _pax(data))
            continue
        if header.kind in (b"K", b"g", b"V"):  # targets of links, what holds for all, labels: nothing of a text
            _passed(stream, header.size)
            continue
        while header.is_sparse_further:
            header = header._replace(is_sparse_further=stream.take(BLOCK)[504:505] not in (b"\0", b""))
        name = pax.get(_SPARSE + b"name") or pax.get(b"path") or long_name or header.name
        yield from _member(stream, header, name, pax, (entry, begin), exact)
        long_name, pax, entry = b"", {}, -1
    if stream.fault is not None:
        raise stream.fault
    if not ended:
        raise FileFaultError("truncated file: the tar archive has no end", stream.offset if exact else 0)


def _member(
    stream: Stream, header: _Header, name: bytes, pax: dict[bytes, bytes], begins: tuple[int, int], exact: bool
) -> Iterator[Member]:
    entry, begin = begins
    told = pax.get(b"size", b"")
    size = int(told) if told.isdigit() and len(told) < _DIGITS else header.size
    shown, is_lossy = _shown(name)
    kind = _KINDS.get(header.kind, FILE if header.kind in (*_FILES, b"S") else "member of another kind")
    if kind == FILE and shown.endswith("/"):
        kind = FOLDER
    if kind in (LINK, DEVICE, FOLDER) and header.kind != b"1":
        size = 0
    is_sparse = header.kind == b"S" or any(key.startswith(_SPARSE) for key in pax)
    fault = "sparse member: it is stored with holes" if is_sparse else ""
    left = [size]

    def pieces() -> Iterator[bytes]:
        while left[0]:
            data = stream.take(min(left[0], _PIECE_BYTES))
            left[0] -= len(data)
            if not data:
                raise BadRecordError("cut off: the file ends within the member", shown, size - left[0])
            yield data

    yield Member(shown, kind, size, begin if exact else None, pieces, entry, fault, is_lossy)
    if _passed(stream, left[0], -size % BLOCK):
        cut = FileFaultError("truncated file: the tar archive ends within a member", stream.offset if exact else 0)
        raise stream.fault or cut


def _shown(name: bytes) -> tuple[str, bool]:
    """A member's name, and whether U+FFFD stands for some of its bytes."""
    try:
        return name.decode().replace("\0", ""), False
    except UnicodeDecodeError:
        return name.decode(errors="replace").replace("\0", ""), True


def _faulty(name: str, size: int, position: int | None, reason: str) -> Member:
    return Member(name, FILE, size, position, lambda: iter(()), fault=reason)


def _passed(stream: Stream, size: int, padding: int | None = None) -> int:
    """Pass over data and what fills its last block; the bytes of data that are missing."""
    missing = stream.skip(size)
    stream.skip(-size % BLOCK if padding is None else padding)
    return missing


def _told(stream: Stream, header: _Header, most: int) -> bytes:
    """The data of a header that tells of the next member; empty where it is too long."""
    data = stream.take(min(header.size, most))
    stream.skip(header.size - len(data) + -header.size % BLOCK)
    return data if header.size <= most else b""


def _header_of(block: bytes) -> _Header | None:
    """What a block says; None where it is no header."""
    stored = _number(block[148:156])
    if len(block) < BLOCK or stored is None:
        return None
    bare = block[:148] + b" " * 8 + block[156:]
    signed = sum(byte - 256 * (byte > 127) for byte in bare) if not bare.isascii() else stored
    if stored not in (sum(bare), signed) or (bare.isascii() and stored != sum(bare)):
        return None
    size, kind = _number(block[124:136]), block[156:157]
    if size is None:
        return None
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0" and (prefix := block[345:500].partition(b"\0")[0]):
        name = prefix + b"/" + name
    return _Header(name, size, kind, kind == b"S" and block[482:483] not in (b"\0", b""))


def _found_again(stream: Stream) -> _Header | None:
    """The next header that is right; None where there is none."""
    while block := stream.take(BLOCK):
        if block[257:262] == b"ustar" and (header := _header_of(block)) is not None:
            return header
    return None


def _number(field: bytes) -> int | None:
    """Octal digits, or (GNU) a number in binary; None for neither, or one that no file is as large as."""
    if field[:1] == b"\x80":
        number = int.from_bytes(field[1:], "big")
        return number if number < 1 << 60 else None
    digits = field.strip(b" \0")
    return int(digits or b"0", 8) if not digits.strip(b"01234567") else None


def _pax(data: bytes) -> dict[bytes, bytes]:
    """What is used of ``length key=value`` lines, up to the first that is none."""
    found = {}
    while data:
        digits, _, _ = data.partition(b" ")
        if not digits.isdigit() or len(digits) > 9 or not len(digits) + 1 < int(digits) <= len(data):
            break
        key, _, value = data[len(digits) + 1 : int(digits) - 1].partition(b"=")
        if key in _PAX or key.startswith(_SPARSE):
            found[key] = value
        data = data[int(digits) :]
    return found
