"""Web archives decompressed member by member, so that a fault costs one member and not the rest of the file.

Archives of the web are gzip members or zstd frames end to end, one a record as a rule. A member that cannot be
decompressed ends with a fault; reading goes on at the next member whose text begins like a record.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, Protocol

import zstandard

from winnow.sources.readers.decoders import InflateError, Lz4Decoder, inflater
from winnow.sources.records import FileFaultError
from winnow.sources.stored_file import TRANSIENT_ERRORS, StoredFile

STORED_BYTES = 256 << 10
"""Stored bytes per read."""
PIECE_BYTES = 1 << 20
"""Decompressed bytes per piece, about."""
RECORD_START = re.compile(rb"(?i:WARC)/\d|filedesc://|[a-zA-Z][a-zA-Z0-9+.-]{0,30}:[^\n]{1,4000} \d{14} ")
"""How a record begins. WARC's own name stands in any case: strings of its grammar (RFC 5234) have none."""
MOST_DICTIONARY_BYTES = 64 << 20
MOST_WINDOW_BYTES = 128 << 20
ZSTD_DICTIONARY = bytes.fromhex("5d2a4d18")
"""How a skippable frame begins that holds the dictionary of the frames behind it."""
_ZEROS = re.compile(rb"\0*")
_LOOKED_AT = 4096  # bytes of a candidate's text


class Piece(NamedTuple):
    """Consecutive decompressed bytes."""

    data: bytes
    position: int
    """Byte of the stored file at which its member begins; of a file that is not compressed, at which it begins."""
    begins: bool
    """Whether a member begins with it."""
    fault: str = ""
    """Why the member ends behind this piece before its time."""


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: memoryview) -> bytes: ...


class _Kind(NamedTuple):
    """A compression with members."""

    magic: bytes
    fed: int
    """Stored bytes given to a decoder at once: bounds what comes out of one call."""
    decoder: Callable[[], _Decoder]
    looked_at: int
    """Stored bytes in which a member's text begins; no more are looked at, as most places with the magic are chance."""


class _Stored:
    """The stored file, in pieces as small as they are wanted."""

    def __init__(self, file: StoredFile) -> None:
        self.file = file
        self._data, self._next = b"", 0

    @property
    def _left(self) -> int:
        return len(self._data) - self._next

    @property
    def at(self) -> int:
        return self.file.position - self._left

    def seek(self, position: int) -> None:
        self.file.seek(position)
        self._data, self._next = b"", 0

    def take(self, limit: int) -> memoryview:
        """At most ``limit`` bytes; empty at the end of the file."""
        if not self._left:
            self._data, self._next = self.file.read(STORED_BYTES), 0
        found = memoryview(self._data)[self._next : self._next + limit]
        self._next += len(found)
        return found

    def give_back(self, size: int) -> None:
        """The last bytes taken, as if they had not been."""
        self._next -= size


def pieces_of(file: StoredFile, compression: str, start: int = 0, stop: int | None = None) -> Iterator[Piece]:
    """The whole file, or from a byte on at which a member begins (of a file that is not compressed: a record).

    Args:
        file: at its front.
        compression: ``.gz``, ``.zst``, ``.lz4`` or empty.
        start: the byte.
        stop: little behind this byte will be read: of an object, no more is fetched ahead.

    Raises:
        FileFaultError: the file is not what its name says, or cannot be read.
    """
    wrong: FileFaultError | None = None
    try:
        if start:
            file.seek(0)  # whoever found the byte has looked
        else:
            file.check_kind(compression)
    except FileFaultError as error:
        if error.reason.split(":")[0] in TRANSIENT_ERRORS:
            raise
        wrong = error
    stored = _Stored(file)
    if not compression:
        if wrong is not None:
            raise wrong
        stored.seek(start)
        _expect(file, stop)
        while True:
            at = stored.at
            data = stored.take(STORED_BYTES)
            if not data:
                return
            yield Piece(bytes(data), at, at == 0)
    kind = {".gz": _GZIP, ".lz4": _LZ4}.get(compression) or _zstd(stored)
    if start:
        stored.seek(start)
    elif wrong is not None:
        if not _find_member(stored, kind, 0):
            raise wrong
        yield Piece(b"", 0, True, f"none: {stored.at:,} bytes of something else stand before the first")
    _expect(file, stop)
    while _skip_zeros(stored):
        at = stored.at
        fault = ""
        for piece in _member(stored, kind, at):
            fault = piece.fault
            yield piece
        if fault and not _find_member(stored, kind, at + 1):
            return


def _expect(file: StoredFile, stop: int | None) -> None:
    """Have an object fetched up to a byte, in large blocks; where that is not known, as it is read."""
    expect = getattr(file.raw, "expect", None)
    if expect is not None and stop is not None:
        expect(stop)


def _member(stored: _Stored, kind: _Kind, at: int) -> Iterator[Piece]:
    """One member."""
    decoder = kind.decoder()
    begins = True
    while not decoder.eof:
        data = stored.take(kind.fed)
        if not data:
            yield Piece(b"", at, begins, "cut short")
            return
        try:
            found = decoder.decompress(data)
        except _FAULTS as error:
            yield Piece(b"", at, begins, f"corrupt: {str(error).rpartition(': ')[2]}")
            return
        if found or decoder.eof:
            yield Piece(found, at, begins)
            begins = False
    stored.give_back(len(decoder.unused_data))


def _skip_zeros(stored: _Stored) -> bool:
    """Go to the next member; zeros between members are padding. False at the end of the file."""
    while data := stored.take(STORED_BYTES):
        zeros = _ZEROS.match(data).end()  # type: ignore[union-attr]  # it matches nothing, too
        stored.give_back(len(data) - zeros)
        if zeros < len(data):
            return True
    return False


def _find_member(stored: _Stored, kind: _Kind, start: int) -> bool:
    """Go to the next member from a stored byte on whose text begins like a record; False if there is none."""
    overlap = len(kind.magic) - 1
    stored.seek(start)
    while True:
        at = stored.at
        window = bytes(stored.take(STORED_BYTES))
        if len(window) <= overlap:
            return False
        place = window.find(kind.magic)
        while place >= 0:
            near = memoryview(window)[place : place + kind.looked_at]
            if len(near) < kind.looked_at:
                stored.seek(at + place)
                near = memoryview(stored.file.read(kind.looked_at))
            if _begins_a_record(near, kind):
                stored.seek(at + place)
                return True
            place = window.find(kind.magic, place + 1)
        stored.seek(at + len(window) - overlap)


def _begins_a_record(near: memoryview, kind: _Kind) -> bool:
    """Whether stored bytes begin a member whose text begins like a record."""
    decoder, found, at = kind.decoder(), b"", 0
    try:
        while len(found) < _LOOKED_AT and not decoder.eof and at < len(near):
            found += decoder.decompress(near[at : at + 1024])
            at += 1024
    except _FAULTS:
        pass  # a fault behind a good beginning is a record's, told when it is read
    return RECORD_START.match(found.lstrip()) is not None


_FAULTS = (InflateError, zstandard.ZstdError, ValueError)
_LZ4 = _Kind(b"\x04\x22\x4d\x18", 32 << 10, Lz4Decoder, 64 << 10)  # of 32 KiB come 8 MB at most
_GZIP = _Kind(b"\x1f\x8b\x08", 32 << 10, partial(inflater, 31), 4 << 10)  # 32 KiB of deflate are 34 MB at most


def dictionary_bytes(head: bytes) -> int:
    """How many bytes of a dictionary follow the first eight of a .warc.zst; 0 where there is none."""
    size = int.from_bytes(head[4:8], "little")
    return min(size, MOST_DICTIONARY_BYTES + 1) if head.startswith(ZSTD_DICTIONARY) else 0


def _zstd(stored: _Stored) -> _Kind:
    """zstd, with the dictionary that a skippable frame at the front may hold (IIPC's specification of .warc.zst).

    Raises:
        FileFaultError: the dictionary cannot be used.
    """
    size = dictionary_bytes(bytes(stored.take(8)))
    dictionary = None
    if size:
        if size > MOST_DICTIONARY_BYTES:
            raise FileFaultError(f"corrupt file: zstd: a dictionary of over {MOST_DICTIONARY_BYTES:,} bytes", 0)
        found = b""
        while len(found) < size and (data := stored.take(size - len(found))):
            found += data
        try:
            if found.startswith(_ZSTD_MAGIC):
                found = zstandard.ZstdDecompressor().decompress(found, max_output_size=MOST_DICTIONARY_BYTES)
            dictionary = zstandard.ZstdCompressionDict(found)
            zstandard.ZstdDecompressor(dictionary).decompressobj()  # says whether it can be used
        except zstandard.ZstdError as error:
            raise FileFaultError(f"corrupt file: zstd: its dictionary: {error}", 0) from error
    else:
        stored.seek(0)

    def decoder() -> _Decoder:
        found: _Decoder = zstandard.ZstdDecompressor(dictionary, max_window_size=MOST_WINDOW_BYTES).decompressobj()
        return found

    return _Kind(_ZSTD_MAGIC, 2 << 10, decoder, 160 << 10)  # 2 KiB are 64 MB at most: every 4 bytes a block of 128 KiB


_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
