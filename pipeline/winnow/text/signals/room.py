"""Scratch of the repetition counts, for one document after the other, and how large its sketches and tables are."""

from typing import Any, NamedTuple

import numpy as np

from winnow.numeric.jit import kernel

_LARGEST_SKETCH = 1 << 18  # a quarter of a megabyte: stays in a core's second cache
_SPARSE_SKETCH = 1 << 11  # below, four times the slots cost less than n-grams that share one
_LEAST_ROOM = 4 * _SPARSE_SKETCH
LARGEST_TABLE = 1 << 21
"""N-grams counted exactly at a time; an eighth of them where there are more."""


class Room(NamedTuple):
    """Scratch for documents of up to T tokens, as arrays or as pointers to them; what is not needed is not touched."""

    counts: Any  # uint8[slots of the largest sketch]
    keys: Any  # of the largest table: uint64, hashes
    where: Any  # uint32, first positions
    times: Any  # uint32, occurrences
    grams: Any  # uint64[T]
    places: Any  # uint32[T]
    firsts: Any  # uint32[T]
    chosen: Any  # uint32[T]
    before: Any  # int64[T + 1]
    met: Any  # uint8[T]


def room_for(tokens: int) -> Room:
    """Arrays for documents of up to so many tokens."""
    slots = 64
    while slots < 2 * (min(tokens, max(LARGEST_TABLE, tokens // 8)) + 1):
        slots *= 2
    return Room(
        counts=np.empty(max(sketch_slots(tokens), _LEAST_ROOM), np.uint8),
        keys=np.empty(slots, np.uint64),
        where=np.empty(slots, np.uint32),
        times=np.empty(slots, np.uint32),
        grams=np.empty(tokens, np.uint64),
        places=np.empty(tokens, np.uint32),
        firsts=np.empty(tokens, np.uint32),
        chosen=np.empty(tokens, np.uint32),
        before=np.empty(tokens + 1, np.int64),
        met=np.empty(tokens, np.uint8),
    )


@kernel
def sketch_slots(number: int) -> int:
    """How many slots, a power of two, so many n-grams are counted by."""
    slots = 64
    while slots < 2 * number and (slots < _LARGEST_SKETCH or 8 * slots < number):
        slots *= 2
    return slots if slots >= _SPARSE_SKETCH else 4 * slots  # fewer share a slot
