"""Bytes of a stored file, decompressed, in chunks of bounded size whatever the file claims to hold.

Compression goes by suffix: .gz (any number of members), .zst (any number of frames, windows up to 2 GiB),
.bz2 and .xz (any number of streams). A file that ends too early, is corrupt, or is not what its name says
ends with ``FileFaultError`` after everything that could be decompressed.
"""

import bz2
import errno
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import zstandard

from pipeline.sources.records import FileFaultError

COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz")
CHUNK_BYTES = 4 << 20
"""Text is handed on in chunks of this size: large against the cost of a call, small against a worker's
memory."""
STORED_BYTES = 256 << 10
"""Compressed bytes per read."""
PIECE_BYTES = 64 << 10
"""Decompressed bytes per call of a decoder: the most that is lost before a corrupt block."""
MAX_ZSTD_WINDOW_BYTES = 1 << 31
MAX_XZ_MEMORY_BYTES = 1 << 30

_ZSTD_END_FRAME = bytes.fromhex("28b52ffd 20 40 030200 ff")
"""A complete zstd frame (RFC 8878, 3.1.1): single segment, content 64 bytes, one last run-length block of
0xff."""
_ZSTD_END = b"\xff" * 64
"""What it decodes to; no UTF-8 text holds this byte."""

_MAGICS = {
    "gzip": (b"\x1f\x8b",),
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))),
    "bzip2": tuple(b"BZh%d" % level + end for level in range(1, 10) for end in (b"1AY&", b"\x17rE8")),
    "xz": (b"\xfd7zXZ\0",),
    "Parquet": (b"PAR1\x15",),
    "zip": (b"PK\x03\x04",),
    "UTF-16": (b"\xff\xfe", b"\xfe\xff"),
}
_NAMES = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz", "Parquet": "Parquet"}
_TRANSIENT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN, errno.ENOBUFS}


def compression_of(path: str) -> str:
    """The suffix that says how a file is compressed; empty for a plain file."""
    return next((suffix for suffix in COMPRESSIONS if path.lower().endswith(suffix)), "")


@dataclass(frozen=True)
class Chunk:
    """Consecutive decompressed bytes."""

    data: bytes
    position: int
    """Bytes of the stored file read before this chunk; for a plain file the offset of its first byte."""


def fault_of(error: OSError, position: int) -> FileFaultError:
    """What an error of the operating system says about the file.

    Raises:
        OSError: the error says nothing about the file (too many open files, a lost connection): the caller
        should
            try again rather than give the file up.
    """
    if error.errno in _TRANSIENT or isinstance(error, TimeoutError | ConnectionError):
        raise error
    kind = {errno.ENOENT: "missing file", errno.EACCES: "no permission", errno.EPERM: "no permission"}
    detail = error.strerror or str(error)
    return FileFaultError(f"{kind.get(error.errno or 0, 'failed to read')}: {detail}", position)


class StoredFile:
    """A file as stored, read from front to back; errors of the system become ``FileFaultError``."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size
        self.position = 0
        self.ended = False

    def read(self, limit: int) -> bytes:
        """At most ``limit`` bytes; empty at the end of the file."""
        try:
            data = self._file.read(limit)
        except OSError as error:
            raise fault_of(error, self.position) from error
        self.position += len(data)
        self.ended = not data
        return data

    def seek(self, position: int) -> None:
        """Continue reading at ``position``."""
        try:
            self._file.seek(position)
        except OSError as error:
            raise fault_of(error, self.position) from error
        self.position = position

    def check_kind(self, expected: str) -> None:
        """Compare the first bytes with what the name says; reading starts at the front afterwards.

        Args:
            expected: a compression suffix, ``Parquet``, or empty for plain text.

        Raises:
            FileFaultError: they are those of another kind of file.
        """
        head = self.read(8)
        self.seek(0)
        name = _NAMES.get(expected)
        if not head and self.size > 0:
            raise FileFaultError(f"shorter file: 0 bytes, {self.size} when it was catalogued", 0)
        if name is not None and not head:
            raise FileFaultError(f"truncated file: empty, which is not a {name} file", 0)
        found = next((kind for kind, magics in _MAGICS.items() if head.startswith(magics)), None)
        if found != name:
            says = f"{name} data" if name else "plain text"
            holds = f"begins like {found} data" if found else f"does not begin like {name} data"
            raise FileFaultError(
                f"wrong format: the name says {says}, but the file {holds}; rename or convert it", 0
            )

    def check_size(self) -> None:
        """Compare the end of the file with the catalogue.

        Raises:
            FileFaultError: the file is shorter than it was.
        """
        if self.position < self.size:
            raise FileFaultError(
                f"shorter file: ends at byte {self.position}, had {self.size} bytes when it was catalogued",
                self.position,
            )


def read_chunks(file: StoredFile, compression: str) -> Iterator[Chunk]:
    """The whole file, decompressed.

    Args:
        file: at its front.
        compression: one of ``COMPRESSIONS``, or empty.

    Raises:
        FileFaultError: after the chunks that could be read.
    """
    file.check_kind(compression)
    pieces = _DECODERS[compression](file)
    held: list[bytes] = []
    held_bytes = 0
    position = file.position
    fault = None
    try:
        for piece in pieces:
            held.append(piece)
            held_bytes += len(piece)
            if held_bytes >= CHUNK_BYTES:
                yield Chunk(b"".join(held) if len(held) > 1 else held[0], position)
                held, held_bytes, position = [], 0, file.position
        file.check_size()
    except FileFaultError as error:
        fault = error
    if held:
        yield Chunk(b"".join(held), position)
    if fault is not None:
        raise fault


def _plain(file: StoredFile) -> Iterator[bytes]:
    while piece := file.read(CHUNK_BYTES):
        yield piece


class _Decoder(Protocol):
    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _GzipDecoder:
    """zlib's decoder of one gzip member with the interface of those of bz2 and lzma."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=31)
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
                except (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError) as error:
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
    decoder = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES)
    reader = decoder.stream_reader(
        _WithEndFrame(file),  # type: ignore[arg-type]  # it only needs read()
        read_size=STORED_BYTES,
        read_across_frames=True,
    )
    last = b""  # the latest pieces, at least as long as the end mark, are held back until more follows
    fault = None
    try:
        while piece := reader.read(PIECE_BYTES):
            if len(piece) < len(_ZSTD_END):
                last += piece
            else:
                if last:
                    yield last
                last = piece
    except zstandard.ZstdError as error:
        message = str(error).removeprefix("zstd decompress error: ")
        fault = FileFaultError(f"corrupt file: zstd: {message}", file.position)
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


_DECODERS: dict[str, Callable[[StoredFile], Iterator[bytes]]] = {
    "": _plain,
    ".gz": _members(_GzipDecoder, "gzip"),
    ".bz2": _members(bz2.BZ2Decompressor, "bzip2"),
    ".xz": _members(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_XZ_MEMORY_BYTES), "xz"),
    ".zst": _zstd,
}
