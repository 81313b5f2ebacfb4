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
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
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
            _check_directory(self._raw, file.size)
            self._zip = zipfile.ZipFile(self._raw)
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
        elif info.file_size > max(BOMB_BYTES, BOMB_RATIO * info.compress_size):
            fault = f"expands too much: {info.file_size:,} bytes out of {info.compress_size:,}"
        return Member(info.filename, kind, info.file_size, info.header_offset, partial(self._pieces, info), fault=fault)

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


def _check_directory(raw: WatchedFile, size: int) -> None:
    """Look how large the directory says that it is, before anything reads it."""
    raw.seek(max(0, size - (1 << 16) - 64))
    tail = raw.read((1 << 16) + 64)
    at = tail.rfind(_END)
    if at < 0 or at + 20 > len(tail):
        raise zipfile.BadZipFile("no directory at its end; it may be cut off")
    of_directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    if of_directory == 0xFFFFFFFF and tail[at - 20 : at - 16] == _END_64:
        raw.seek(int.from_bytes(tail[at - 12 : at - 4], "little") + 40)
        of_directory = int.from_bytes(raw.read(8), "little")
    if of_directory > min(size, MOST_DIRECTORY_BYTES):
        raise zipfile.BadZipFile(f"a directory of {of_directory:,} bytes; cut the file into smaller ones")
    raw.seek(0)


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
