"""Bytes of a stored file, decompressed, in chunks of bounded size whatever the file claims to hold.

Compression goes by suffix: .gz (any number of members), .zst (any number of frames, windows up to 2 GiB),
.bz2, .xz and .lz4 (any number of streams). A file that ends too early, is corrupt, or is not what its name says ends
with ``FileFaultError`` after everything that could be decompressed.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from winnow.sources.readers.decoders import DECODERS
from winnow.sources.records import FileFaultError
from winnow.sources.stored_file import StoredFile, compression_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK_BYTES = 4 << 20
"""Text is handed on in chunks of this size: large against the cost of a call, small against a worker's
memory."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive decompressed bytes."""

    data: bytes
    position: int
    """Bytes of the stored file read before this chunk; for a plain file the offset of its first byte."""


def read_chunks(file: StoredFile, compression: str, *, wide: bool = False, enter: int = 0) -> Iterator[Chunk]:
    """The whole file, decompressed, or what is behind a stored byte.

    Args:
        file: at its front.
        compression: one of ``COMPRESSIONS``, or empty.
        wide: whether a plain file may be UTF-16 or UTF-32.
        enter: where to begin: a byte of a plain file, or where a member or frame of a compressed one begins.

    Raises:
        FileFaultError: after the chunks that could be read.
    """
    if enter:
        file.seek(enter)
    else:
        file.check_kind(compression, wide=wide)
    pieces = DECODERS[compression](file)
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


def open_text(file: StoredFile, path: str) -> TextIO:
    """The whole file as text, decompressed as the suffix of ``path`` says; line ends stay as they are.

    Bytes that are no UTF-8 come as the surrogates of ``surrogateescape``, so that nothing is lost before
    ``source.invalid_utf8`` is asked; a byte order mark at the front is left out.

    Raises:
        FileFaultError: on reading, after everything that could be decompressed.
    """
    stream = io.BufferedReader(_ChunkStream(read_chunks(file, compression_of(path))), CHUNK_BYTES)
    return io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")


class _ChunkStream(io.RawIOBase):
    """Chunks as a file."""

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk.data)
        into = memoryview(buffer).cast("B")
        number = min(len(into), len(self._left))
        into[:number] = self._left[:number]
        self._left = self._left[number:]
        return number
