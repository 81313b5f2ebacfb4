"""Open-addressing sets of 64-bit hashes, shared by the scans for repeated lines and repeated n-grams."""

from typing import Any

import numpy as np

from winnow.numeric.bits import pointer_to
from winnow.numeric.jit import kernel

_SPREAD = np.uint64(0x9E3779B97F4A7C15)


@kernel
def slots_for(entries: int) -> int:
    """The power of two, at least 64, that keeps a table of so many entries at most half full."""
    slots = 64
    while slots < 2 * entries:
        slots *= 2
    return slots


@kernel
def add_key(keys: Any, slots: int, key: Any) -> bool:
    """Add a hash to a set (pointer to uint64[slots], a power of two; 0 = free, never full); whether it was new."""
    if key == 0:
        key = np.uint64(1)
    mask = slots - 1
    slot = np.int64((key * _SPREAD) >> np.uint64(32)) & mask
    while keys[slot] != 0:
        if keys[slot] == key:
            return False
        slot = (slot + 1) & mask
    keys[slot] = key
    return True


@kernel
def grown(keys: Any) -> Any:
    """The same set with twice the room."""
    larger = np.zeros(2 * len(keys), np.uint64)
    for key in keys:
        if key != 0:
            add_key(pointer_to(larger), len(larger), key)
    return larger
