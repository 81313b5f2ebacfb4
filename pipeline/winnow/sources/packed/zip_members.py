"""Members of a zip file by its directory, with bounds for what a directory may claim."""

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial

from winnow.sources.fields import BadRecordError
from winnow.sources.packed.member import FILE, FOLDER, LINK, Member
from winnow.sources.records import FileFaultError
from winnow.sources.stored_file import StoredFile, fault_of
from winnow.sources.watched_file import WatchedFile

MOST_DIRECTORY_BYTES = 256 << 20
BOMB_BYTES, BOMB_RATIO = 16 << 20, 200
"""A member that is larger, and so many times as large as it is stored, is not read."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
MOST_LZMA_BYTES = 128 << 20
"""Of the dictionary that an LZMA member asks for: its decoder takes so much memory at once."""
_END, _END_64 = b"PK\x05\x06", b"PK\x06\x07"
_PIECE_BYTES = 1 << 20


class ZipMembers:
    """A zip file that is read by its directory.

    Args:
        file: seekable.

    Raises:
        FileFaultError: it is no zip file, is cut off, or its directory is too large.
    """

    def __init__(self, file: StoredFile) -> None:
        self._raw = WatchedFile(file.raw)
        try:
            end = _check_directory(self._raw, file.size)
            self._zip = zipfile.ZipFile(self._raw if end is None else _WithoutComment(self._raw, end))
        except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError) as error:
            if self._raw.error is not None:
                raise fault_of(self._raw.error, 0) from error
            raise FileFaultError(f"corrupt file: zip: {error}", 0) from error
        self.infos = self._zip.infolist()
        self._overlapping = _overlapping(self.infos)

    def member(self, number: int) -> Member:
        """One of ``infos``."""
        info = self.infos[number]
        mode = info.external_attr >> 16
        kind = FOLDER if info.is_dir() else LINK if stat.S_ISLNK(mode) else FILE
        fault = ""
        if number in self._overlapping:
            fault = "overlapping member: it shares its bytes with another"
        elif info.flag_bits & 1:
            fault = "encrypted member: no key is known"
        elif info.compress_type not in _METHODS:
            fault = f"unknown compression: method {info.compress_type} of zip"
        elif info.compress_type == zipfile.ZIP_LZMA and self._lzma_bytes(info) > MOST_LZMA_BYTES:
            fault = f"needs too much memory: an LZMA dictionary of over {MOST_LZMA_BYTES:,} bytes"
        elif info.file_size > max(BOMB_BYTES, BOMB_RATIO * info.compress_size):
            fault = f"expands too much: {info.file_size:,} bytes out of {info.compress_size:,}"
        return Member(info.filename, kind, info.file_size, info.header_offset, partial(self._pieces, info), fault=fault)

    def _lzma_bytes(self, info: zipfile.ZipInfo) -> int:
        """The dictionary that a member asks for (APPNOTE 5.8.8); 0 where its header cannot be read."""
        try:
            self._raw.seek(info.header_offset)
            head = self._raw.read(30)
            self._raw.seek(info.header_offset + 30 + sum(struct.unpack("<HH", head[26:30])))
            return int.from_bytes(self._raw.read(9)[5:], "little")
        except (OSError, struct.error):
            return 0  # met again, and told, where it is read

    def _pieces(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """A member's bytes; BadRecordError where they are damaged, FileFaultError where the file cannot be read."""
        try:
            with self._zip.open(info) as member:
                while piece := member.read(_PIECE_BYTES):
                    yield piece
        except (
            *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
            *(NotImplementedError, RuntimeError, OSError, EOFError, ValueError),
        ) as error:
            if self._raw.error is not None:
                raise fault_of(self._raw.error, info.header_offset) from error
            said = "its CRC-32 is wrong" if "CRC" in str(error) else "its data or header is damaged"
            raise BadRecordError(f"corrupt member: {said}", info.filename, info.file_size, info.header_offset) from None


class _WithoutComment:
    """A zip file up to its comment, for a library that takes the last end of a directory for the right one, even in a
    comment.

    Args:
        file: the whole.
        end: where the comment begins: behind its length, which reads as 0.
    """

    closed = False

    def __init__(self, file: WatchedFile, end: int) -> None:
        self._file, self._end, self._at = file, end, 0

    def read(self, size: int = -1) -> bytes:
        """As a file."""
        left = max(0, self._end - self._at)
        self._file.seek(self._at)
        data = bytearray(self._file.read(left if size < 0 else min(size, left)))
        for place in (self._end - 2, self._end - 1):
            if 0 <= place - self._at < len(data):
                data[place - self._at] = 0
        self._at += len(data)
        return bytes(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As a file; never before its beginning."""
        at = offset + (0, self._at, self._end)[whence]
        if at < 0:
            raise OSError(22, "a place before the file's beginning")
        self._at = at
        return at

    def tell(self) -> int:
        """As a file."""
        return self._at

    def seekable(self) -> bool:
        """As a file."""
        return True


def _check_directory(raw: WatchedFile, size: int) -> int | None:
    """Look how large the directory says that it is, before anything reads it.

    Returns:
        Where the comment begins, if it holds what looks like another end of a directory.
    """
    begin = max(0, size - (1 << 16) - 64)
    raw.seek(begin)
    tail = raw.read((1 << 16) + 64)
    last = at = tail.rfind(_END)
    while at >= 0 and at + 22 + int.from_bytes(tail[at + 20 : at + 22], "little") != len(tail):
        at = tail.rfind(_END, 0, at)  # the comment of the right one reaches to the end of the file
    at = last if at < 0 else at
    if at < 0 or at + 20 > len(tail):
        raise zipfile.BadZipFile("no directory at its end; it may be cut off")
    of_directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    if of_directory == 0xFFFFFFFF and tail[at - 20 : at - 16] == _END_64:
        raw.seek(int.from_bytes(tail[at - 12 : at - 4], "little") + 40)
        of_directory = int.from_bytes(raw.read(8), "little")
    if of_directory > min(size, MOST_DIRECTORY_BYTES):
        raise zipfile.BadZipFile(f"a directory of {of_directory:,} bytes; cut the file into smaller ones")
    raw.seek(0)
    return None if at == last else begin + at + 22


def _overlapping(infos: list[zipfile.ZipInfo]) -> set[int]:
    """Members whose bytes begin before those of another end."""
    order = sorted(range(len(infos)), key=lambda number: infos[number].header_offset)
    found: set[int] = set()
    end, last = 0, -1
    for number in order:
        info = infos[number]
        if info.header_offset < end:
            found |= {number, last}
        if info.header_offset + 30 + info.compress_size > end:
            end, last = info.header_offset + 30 + info.compress_size, number
    return found
