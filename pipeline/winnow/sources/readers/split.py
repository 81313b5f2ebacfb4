"""Cuts a stream of chunks at a separator, as ``bytes.split`` would cut the whole, in bounded memory."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from winnow.sources.readers.streams import Chunk
from winnow.sources.records import FileFaultError

BLANK_RUN_BYTES = 1_024
"""A run of blank records of so many bytes is not built."""
SHORT_RECORD_BYTES = 8
"""Runs are looked for in chunks whose records are shorter than that on average."""


@dataclass
class Lines:
    """The records of a chunk, each made when it is asked for."""

    data: bytes
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    replaced: dict[int, bytes | bytearray] = field(default_factory=dict)
    """Records that are other bytes than those of the chunk."""

    def __len__(self) -> int:
        return len(self.begins)

    def __getitem__(self, index: int) -> bytes | bytearray:
        found = self.replaced.get(index)
        return self.data[self.begins[index] : self.ends[index]] if found is None else found

    def __setitem__(self, index: int, record: bytes | bytearray) -> None:
        self.replaced[index] = record

    def __iter__(self) -> Iterator[bytes | bytearray]:
        return map(self.__getitem__, range(len(self)))

    def pop(self) -> bytes | bytearray:
        """The last record, which is one no longer."""
        last = self[len(self) - 1]
        self.begins, self.ends = self.begins[:-1], self.ends[:-1]
        return last


@dataclass(frozen=True)
class Group:
    """Consecutive records of a stream."""

    records: "list[bytes | bytearray] | Lines"
    """Without their separators. An oversize first record is empty; see ``dropped_bytes``."""
    start: int
    """Decompressed offset of the first record."""
    position: int
    """Stored bytes read before the chunk in which the first record begins."""
    dropped_bytes: int = 0
    """Length of the first record where it was too large to hold; else 0."""
    skipped: int = 0
    """Blank records behind them that were only counted."""
    unended: bool = False
    """The (only) record is the last one and no separator follows it."""
    fault: FileFaultError | None = None
    """Why the stream ended early, if it did: the record is cut off."""
    offsets: list[int] | None = None
    """Decompressed offset of each record, where they do not follow from lengths and separators."""


def split_chunks(
    chunks: Iterator[Chunk],
    separator: bytes,
    max_record_bytes: int,
    blank: bytes = b"",
    split: "Callable[[bytes], list[bytes] | Lines] | None" = None,
) -> Iterator[Group]:
    """Records of the stream; the last group holds the one record behind the last separator, perhaps empty.

    A record longer than ``max_record_bytes`` may be dropped while it is read; one that fits into a chunk may
    come back all the same, so callers check lengths themselves. A fault of the stream does not raise: it
    comes with the last group.

    Args:
        chunks: the stream.
        separator: between records.
        max_record_bytes: what a caller takes.
        blank: records of these bytes alone are none to the caller. Where the separator is one of them, long runs of
            such records are counted and not built.
        split: splits a chunk at the separator, of one byte; None: ``bytes.split``.
    """
    overlap = len(separator) - 1
    counts_blank = not overlap and separator in blank
    if counts_blank:
        chunks = _with_runs_apart(chunks, separator, re.compile(b"[%s]{%d,}" % (re.escape(blank), BLANK_RUN_BYTES)))
    unfinished = bytearray()  # the record that no separator has ended yet
    dropped = 0  # how much of it was dropped: all but what may be the front of a separator
    start = position = offset = 0
    fault = None
    try:
        for chunk in chunks:
            if not unfinished and not dropped:
                position = chunk.position
            skipped = 0
            seam = bytes(unfinished[max(0, len(unfinished) - overlap) :]) if overlap and unfinished else b""
            if counts_blank and not chunk.data.strip(blank):
                first, last_at = chunk.data.find(separator), chunk.data.rfind(separator)
                parts: list[bytes | bytearray] | Lines = [chunk.data]
                if first >= 0:
                    parts = [chunk.data[:first], chunk.data[last_at + 1 :]]
                    skipped = chunk.data.count(separator) - 1
            else:
                whole = seam + chunk.data if seam else chunk.data
                parts = list(whole.split(separator)) if split is None else split(whole)  # type: ignore[assignment]
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
            group = Group(parts, start, position, dropped, skipped)
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


def _with_runs_apart(chunks: Iterator[Chunk], separator: bytes, run: re.Pattern[bytes]) -> Iterator[Chunk]:
    """The same stream, in which long runs of blank records are chunks of their own."""
    for chunk in chunks:
        # numpy counts bytes three times as fast as bytes do
        if np.count_nonzero(np.frombuffer(chunk.data, np.uint8) == separator[0]) * SHORT_RECORD_BYTES < len(chunk.data):
            yield chunk  # most: looking for runs costs more than there could be
            continue
        at = 0
        for match in run.finditer(chunk.data):
            for begin, end in ((at, match.start()), match.span()):
                if begin < end:
                    yield Chunk(chunk.data[begin:end], chunk.position)
            at = match.end()
        if at < len(chunk.data):
            yield Chunk(chunk.data[at:], chunk.position)
