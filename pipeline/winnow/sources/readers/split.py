"""Cuts a stream of chunks at a separator, as ``bytes.split`` would cut the whole, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass

from winnow.sources.readers.streams import Chunk
from winnow.sources.records import FileFaultError


@dataclass(frozen=True)
class Group:
    """Consecutive records of a stream."""

    records: list[bytes | bytearray]
    """Without their separators. An oversize first record is empty; see ``dropped_bytes``."""
    start: int
    """Decompressed offset of the first record."""
    position: int
    """Stored bytes read before the chunk in which the first record begins."""
    dropped_bytes: int = 0
    """Length of the first record where it was too large to hold; else 0."""
    unended: bool = False
    """The (only) record is the last one and no separator follows it."""
    fault: FileFaultError | None = None
    """Why the stream ended early, if it did: the record is cut off."""
    offsets: list[int] | None = None
    """Decompressed offset of each record, where they do not follow from lengths and separators."""


def split_chunks(chunks: Iterator[Chunk], separator: bytes, max_record_bytes: int) -> Iterator[Group]:
    """Records of the stream; the last group holds the one record behind the last separator, perhaps empty.

    A record longer than ``max_record_bytes`` may be dropped while it is read; one that fits into a chunk may
    come back all the same, so callers check lengths themselves. A fault of the stream does not raise: it
    comes with the last group.
    """
    overlap = len(separator) - 1
    unfinished = bytearray()  # the record that no separator has ended yet
    dropped = 0  # how much of it was dropped: all but what may be the front of a separator
    start = position = offset = 0
    fault = None
    try:
        for chunk in chunks:
            if not unfinished and not dropped:
                position = chunk.position
            seam = bytes(unfinished[len(unfinished) - overlap :]) if overlap and unfinished else b""
            parts: list[bytes | bytearray] = list((seam + chunk.data if seam else chunk.data).split(separator))
            offset += len(chunk.data)
            if len(parts) == 1:
                unfinished += chunk.data
                excess = len(unfinished) - overlap  # the rest may be the front of a separator
                if excess > max_record_bytes or (dropped and excess > 0):
                    dropped += excess
                    del unfinished[:excess]
                continue
            last = parts.pop()
            if seam:
                del unfinished[len(unfinished) - len(seam) :]
            if unfinished or dropped:
                unfinished += parts[0]
                parts[0] = unfinished
                if dropped:
                    dropped += len(unfinished)
                    parts[0] = b""
            group = Group(parts, start, position, dropped)
            # before the yield: a huge record must not be held here while its batch is worked on
            unfinished, dropped = bytearray(last), 0
            start = offset - len(last)
            position = chunk.position
            yield group
    except FileFaultError as error:
        fault = error
    if dropped:
        dropped += len(unfinished)
        unfinished = bytearray()
    yield Group([unfinished], start, position, dropped, unended=True, fault=fault)
