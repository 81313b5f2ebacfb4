"""A set of byte strings as one file that is mapped and never read: which of them stands at a place, if any.

Layout, little-endian: ``WINNOWL1``, uint64 bits b, uint64 entries, uint64 bytes of the heap; uint32[2^b + 1] where each
bucket begins in the heap; the heap. A bucket holds the entries whose 64-bit hash begins with its number, about four, in
order of (hash, list, line): list uint8, size uint16, bytes. An entry is found by its own bytes, so no hash that is met
by chance finds one. 4.5 million domains of 15 bytes take 86 MB, which all workers of a node share.

Legend: N entries.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.errors import StorageError
from winnow.numeric.bits import pointer_to
from winnow.numeric.jit import kernel
from winnow.numeric.radix import sort_pairs

LONGEST = 65_535
"""Bytes of an entry."""
MOST_LISTS = 255
MOST_HEAP = (1 << 32) - 1
_MAGIC = b"WINNOWL1"
_HEAD = 32
_BEFORE = 3  # bytes of an entry before its own: list and size
_BUCKET = 4
_SEED = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_SHIFT = np.uint64(32)


@kernel
def hash_step(value: Any, byte: Any) -> Any:
    """The hash of a string with one byte more in front: from the right to the left, so that all hosts above a host are
    hashed on the way."""
    return (value ^ np.uint64(byte)) * _PRIME


@kernel
def hash_end(value: Any) -> Any:
    """The hash once the string is whole, all bits spread evenly."""
    value = (value ^ (value >> _SHIFT)) * _MIX
    return value ^ (value >> _SHIFT)


@kernel
def hash_start() -> Any:
    """The hash of no byte."""
    return _SEED


@kernel
def hash_of(data: Any, first: int, last: int) -> Any:
    """The hash (uint64) of bytes first to last."""
    value = _SEED
    for i in range(last - 1, first - 1, -1):
        value = hash_step(value, data[i])
    return hash_end(value)


@kernel
def find(value: Any, data: Any, first: int, last: int, starts: Any, shift: Any, heap: Any) -> Any:
    """Where bytes first to last, whose hash is ``value``, stand in the heap; -1 where they do not."""
    bucket = np.int64(value >> shift)
    place: Any = np.int64(starts[bucket])
    stop = np.int64(starts[bucket + 1])
    size = last - first
    while place < stop:
        own = np.int64(heap[place + 1]) | np.int64(heap[place + 2]) << 8
        if own == size:
            k = 0
            while k < size and heap[place + _BEFORE + k] == data[first + k]:
                k += 1
            if k == size:
                return place
        place += _BEFORE + own
    return -1


@kernel
def _hashes(data: NDArray[np.uint8], offsets: NDArray[np.int64], out: NDArray[np.uint64]) -> None:
    bytes_ = pointer_to(data)
    for n in range(len(out)):
        out[n] = hash_of(bytes_, offsets[n], offsets[n + 1])


@kernel
def _equal(data: Any, offsets: NDArray[np.int64], a: Any, b: Any) -> bool:
    size = offsets[a + 1] - offsets[a]
    if size != offsets[b + 1] - offsets[b]:
        return False
    for k in range(size):  # noqa: SIM110 - a generator does not compile
        if data[offsets[a] + k] != data[offsets[b] + k]:
            return False
    return True


@kernel
def _fill(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    lists: NDArray[np.uint8],
    hashes: NDArray[np.uint64],
    order: NDArray[np.uint64],
    shift: Any,
    starts: NDArray[np.uint32],
    heap: NDArray[np.uint8],
) -> tuple[int, int]:
    """Fill ``starts`` and ``heap`` with entries in order of their hashes, each once; entries and bytes written."""
    bytes_, out = pointer_to(data), pointer_to(heap)
    at, entries, bucket = 0, 0, 0
    for k in range(len(order)):
        n = np.int64(order[k])
        twice = False
        before = k - 1
        while before >= 0 and hashes[before] == hashes[k] and not twice:
            twice = _equal(bytes_, offsets, np.int64(order[before]), n)
            before -= 1
        if twice:
            continue
        while bucket <= np.int64(hashes[k] >> shift):
            starts[bucket] = at
            bucket += 1
        size = offsets[n + 1] - offsets[n]
        out[at], out[at + 1], out[at + 2] = lists[n], size & 255, size >> 8
        for i in range(size):
            out[at + _BEFORE + i] = bytes_[offsets[n] + i]
        at += _BEFORE + size
        entries += 1
    while bucket < len(starts):
        starts[bucket] = at
        bucket += 1
    return entries, at


class Table(NamedTuple):
    """A table, as kernels take it."""

    starts: NDArray[np.uint32]
    """[2^b + 1]."""
    shift: np.uint64
    """Bits of a hash below its bucket's number."""
    heap: NDArray[np.uint8]
    entries: int


def build(data: NDArray[np.uint8], offsets: NDArray[np.int64], lists: NDArray[np.uint8]) -> Table:
    """The table of N strings; of equal ones the first stays.

    Args:
        data: uint8[B].
        offsets: int64[N + 1] into it.
        lists: uint8[N], the number of the list that each comes from.
    """
    hashes = np.empty(len(lists), np.uint64)
    _hashes(data, offsets, hashes)
    hashes, order = sort_pairs(hashes, np.arange(len(lists), dtype=np.uint64), False)
    bits = max(1, (len(lists) // _BUCKET).bit_length())
    starts = np.empty((1 << bits) + 1, np.uint32)
    heap = np.empty(int(offsets[-1] - offsets[0]) + _BEFORE * len(lists), np.uint8)
    shift = np.uint64(64 - bits)
    entries, size = _fill(data, offsets, lists, hashes, order, shift, starts, heap)
    return _readable(starts, shift, heap[:size], entries)


def _readable(starts: NDArray[np.uint32], shift: np.uint64, heap: NDArray[np.uint8], entries: int) -> Table:
    starts, heap = starts.view(), heap.view()
    starts.flags.writeable = heap.flags.writeable = False  # one type of array, so one compilation
    return Table(starts, shift, heap, entries)


NOTHING = _readable(np.zeros(3, np.uint32), np.uint64(63), np.zeros(1, np.uint8), 0)
"""A table without entries."""


def parts_of_file(table: Table) -> list[Any]:
    """What is written to a file, buffer by buffer."""
    bits = 64 - int(table.shift)
    head = np.array([bits, table.entries, len(table.heap)], "<u8")
    return [_MAGIC, head, np.ascontiguousarray(table.starts, "<u4"), table.heap]


def open_table(path: str) -> Table:
    """A table in a file, mapped.

    Raises:
        StorageError: the file is none, or is cut.
    """
    data = np.frombuffer(pa.memory_map(path).read_buffer(), np.uint8)
    if len(data) < _HEAD or data[: len(_MAGIC)].tobytes() != _MAGIC:
        raise StorageError(f"{path}: is no table of entries; remove it and run again")
    bits, entries, size = (int(number) for number in data[len(_MAGIC) : _HEAD].view("<u8"))
    heap = _HEAD + 4 * ((1 << min(bits, 40)) + 1)
    if not 1 <= bits <= 40 or len(data) != heap + size:
        raise StorageError(f"{path}: {len(data):,} bytes, but its head says {heap + size:,}; remove it and run again")
    return _readable(data[_HEAD:heap].view("<u4"), np.uint64(64 - bits), data[heap:], entries)


@kernel
def _copy_entries(
    heap: NDArray[np.uint8],
    places: NDArray[np.int64],
    offsets: NDArray[np.int64],
    lists: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> None:
    for n in range(len(places)):
        lists[n] = heap[places[n]]
        for k in range(offsets[n + 1] - offsets[n]):
            out[offsets[n] + k] = heap[places[n] + _BEFORE + k]


def entries_at(table: Table, places: NDArray[np.int64]) -> tuple[NDArray[np.uint8], pa.Array]:
    """Lists uint8[N] and entries large_binary[N] at places of the heap."""
    heap = table.heap
    sizes = heap[places + 1].astype(np.int64) | heap[places + 2].astype(np.int64) << 8
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    lists, out = np.empty(len(places), np.uint8), np.empty(int(offsets[-1]), np.uint8)
    _copy_entries(heap, places, offsets, lists, out)
    entries = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(places), [None, pa.py_buffer(offsets), pa.py_buffer(out)]
    )
    return lists, entries
