"""Decompression piece by piece: what a file expands to never decides how much memory it takes."""

import bz2
import lzma
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

import zstandard
from zlib_ng import zlib_ng

from winnow.sources.records import FileFaultError
from winnow.sources.stored_file import StoredFile

STORED_BYTES = 256 << 10
"""Compressed bytes per read."""
PIECE_BYTES = 64 << 10
"""Decompressed bytes per call; so much before a corrupt block of .gz, .bz2 or .xz may be lost."""
inflater = zlib_ng.decompressobj
"""What decodes deflate (``wbits`` as for zlib: 31 for a gzip member): zlib's bytes, ends and messages, and faster."""
InflateError: type[Exception] = zlib_ng.error  # type: ignore[assignment]  # an instance, if its stub were right
"""What it raises."""
MAX_ZSTD_WINDOW_BYTES = 1 << 31
MAX_XZ_MEMORY_BYTES = 1 << 30

_ZSTD_END_FRAME = bytes.fromhex("28b52ffd 20 40 030200 ff")
"""A complete zstd frame (RFC 8878, 3.1.1): single segment, content 64 bytes, one last run-length block of
0xff."""
_ZSTD_END = b"\xff" * 64
"""What it decodes to; no UTF-8 text holds this byte."""


def _plain(file: StoredFile) -> Iterator[bytes]:
    while piece := file.read(STORED_BYTES):
        yield piece


class _Decoder(Protocol):
    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _GzipDecoder:
    """A decoder of one gzip member with the interface of those of bz2 and lzma."""

    def __init__(self) -> None:
        self._decoder = inflater(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        tail = self._decoder.unconsumed_tail
        piece = self._decoder.decompress(tail + data if tail else data, max_length)
        self.needs_input = len(piece) < max_length and not self._decoder.unconsumed_tail
        return piece


class Lz4Decoder:
    """lz4's decoder of one frame (LZ4 Frame Format 1.6), with the same interface; of the extra ``web``."""

    def __init__(self) -> None:
        from lz4.frame import LZ4FrameDecompressor  # noqa: PLC0415 - of an extra

        self._decoder = LZ4FrameDecompressor()

    @property
    def eof(self) -> bool:
        """Whether the frame has ended."""
        return bool(self._decoder.eof)

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes of what was given."""
        return bool(self._decoder.needs_input)

    @property
    def unused_data(self) -> bytes:
        """What stands behind the frame."""
        return self._decoder.unused_data or b""

    def decompress(self, data: bytes | memoryview, max_length: int = -1) -> bytes:
        """Raises ValueError where the frame is corrupt."""
        try:
            found: bytes = self._decoder.decompress(bytes(data), max_length)
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        return found


def _members(new_decoder: Callable[[], Any], name: str) -> Callable[[StoredFile], Iterator[bytes]]:
    """A reader of any number of compressed streams, one behind the other, perhaps with zeros between them."""

    def read(file: StoredFile) -> Iterator[bytes]:
        data = b""
        first = True
        while True:
            if not first:
                data = data.lstrip(b"\0")  # padding: blocks of tapes (gzip), groups of four bytes (xz)
            if not data:
                data = file.read(STORED_BYTES)
                if not data:
                    return
                continue
            first = False
            decoder: _Decoder = new_decoder()
            while not decoder.eof:
                if decoder.needs_input and not data:
                    data = file.read(STORED_BYTES)
                    if not data:
                        raise FileFaultError(f"truncated file: the {name} data ends too early", file.position)
                try:
                    piece = decoder.decompress(data, PIECE_BYTES)
                except (OSError, ValueError, EOFError, InflateError, lzma.LZMAError) as error:
                    raise FileFaultError(f"corrupt file: {name}: {error}", file.position) from error
                data = b""
                if piece:
                    yield piece
            data = decoder.unused_data

    return read


class _WithEndFrame:
    """Adds a frame of our own behind the file's last one.

    The decoder says nothing when input ends inside a frame. A file is complete if, and only if, this frame is
    decoded as a frame.
    """

    def __init__(self, file: StoredFile) -> None:
        self._file = file
        self._added = False

    def read(self, limit: int) -> bytes:
        data = b"" if self._added else self._file.read(limit)
        if not data and not self._added:
            self._added = True
            return _ZSTD_END_FRAME
        return data


def _zstd(file: StoredFile) -> Iterator[bytes]:
    begin = file.position
    reader = _zstd_reader(file)
    last = b""  # the latest pieces, at least as long as the end mark, are held back until more follows
    produced = 0
    fault = None
    try:
        while piece := reader.read(PIECE_BYTES):
            produced += len(piece)
            if len(piece) < len(_ZSTD_END):
                last += piece
            else:
                if last:
                    yield last
                last = piece
    except zstandard.ZstdError as error:
        at = file.position
        last += _zstd_until_fault(file, begin, produced)
        fault = FileFaultError(_zstd_fault(file, str(error), produced + len(last)), at)
    except FileFaultError as error:
        fault = error
    if fault is None and last.endswith(_ZSTD_END):
        last = last[: -len(_ZSTD_END)]
    elif file.ended:
        fault = FileFaultError("truncated file: the zstd data ends too early", file.position)
        last = last.removesuffix(_ZSTD_END_FRAME)
    if last:
        yield last
    if fault is not None:
        raise fault


def _zstd_reader(file: StoredFile) -> zstandard.ZstdDecompressionReader:
    decoder = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES)
    source = _WithEndFrame(file)
    return decoder.stream_reader(source, read_size=STORED_BYTES, read_across_frames=True)  # type: ignore[arg-type]


def _zstd_fault(file: StoredFile, message: str, produced: int) -> str:
    """What an error of the decoder says of the file. Reads the head again; a dictionary's number stands there."""
    do = "decompress the file with it first (zstd -d -D DICTIONARY), or compress it without"
    if "Dictionary mismatch" in message:
        file.seek(0)
        with suppress(zstandard.ZstdError):
            number = zstandard.get_frame_parameters(file.read(64)).dict_id
            return f"needs a dictionary: zstd data made with dictionary {number or '(of a later frame)'}; {do}"
        return f"needs a dictionary: zstd data made with one; {do}"
    without = "" if produced else f"; or it was made with a dictionary without a number: {do}"
    return f"corrupt file: zstd: {message.removeprefix('zstd decompress error: ')}{without}"


def _zstd_until_fault(file: StoredFile, begin: int, produced: int) -> bytes:
    """What lies between the last whole piece and a corrupt block: the failing call returned none of it.

    Reads the file again; corrupt files are rare.
    """
    file.seek(begin)
    reader = _zstd_reader(file)
    rest = bytearray()
    try:
        while produced and (piece := reader.read(min(produced, PIECE_BYTES))):
            produced -= len(piece)
        while byte := reader.read(1):
            rest += byte
    except (zstandard.ZstdError, FileFaultError):
        pass  # the fault that is already known
    return bytes(rest)


DECODERS: dict[str, Callable[[StoredFile], Iterator[bytes]]] = {
    "": _plain,
    ".gz": _members(_GzipDecoder, "gzip"),
    ".bz2": _members(bz2.BZ2Decompressor, "bzip2"),
    ".xz": _members(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_XZ_MEMORY_BYTES), "xz"),
    ".zst": _zstd,
    ".lz4": _members(Lz4Decoder, "lz4"),
}
"""By suffix: pieces of a file; ``FileFaultError`` after what could be decompressed."""
