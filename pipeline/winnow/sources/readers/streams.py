"""Bytes of a stored file, decompressed, in chunks of bounded size whatever the file claims to hold.

Compression goes by suffix: .gz (any number of members), .zst (any number of frames, windows up to 2 GiB),
.bz2 and .xz (any number of streams). A file that ends too early, is corrupt, or is not what its name says
ends with ``FileFaultError`` after everything that could be decompressed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from winnow.sources.readers.decoders import DECODERS
from winnow.sources.records import FileFaultError
from winnow.sources.stored_file import StoredFile

CHUNK_BYTES = 4 << 20
"""Text is handed on in chunks of this size: large against the cost of a call, small against a worker's
memory."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive decompressed bytes."""

    data: bytes
    position: int
    """Bytes of the stored file read before this chunk; for a plain file the offset of its first byte."""


def read_chunks(file: StoredFile, compression: str) -> Iterator[Chunk]:
    """The whole file, decompressed.

    Args:
        file: at its front.
        compression: one of ``COMPRESSIONS``, or empty.

    Raises:
        FileFaultError: after the chunks that could be read.
    """
    file.check_kind(compression)
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
