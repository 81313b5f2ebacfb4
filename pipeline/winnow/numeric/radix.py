"""Radix sort of pairs of 64-bit numbers and of short lists: linear time, stable, the same order on every machine.

Legend: K pairs.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel

_DIGIT_BITS = 11
_DIGITS = 1 << _DIGIT_BITS


@kernel
def sort_pairs(
    first: NDArray[np.uint64], second: NDArray[np.uint64], by_second: bool
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Pairs sorted by ``first``; among equals by ``second`` if ``by_second``, else in the order they came.

    In: uint64[K] twice, left as they are.
    Out: uint64[K] twice. Needs 32 bytes a pair while it runs. Digits that are the same in all pairs cost
        nothing, so numbers from a narrow range sort faster.
    """
    count = len(first)
    a, b = first.copy(), second.copy()
    a_next, b_next = np.empty_like(a), np.empty_like(b)
    starts = np.empty(_DIGITS, np.int64)
    mask = np.uint64(_DIGITS - 1)
    for column in range(0 if by_second else 1, 2):
        keys = b if column == 0 else a
        varying = np.uint64(0)
        for i in range(count):
            varying |= keys[i] ^ keys[0]
        for shift_bits in range(0, 64, _DIGIT_BITS):
            shift = np.uint64(shift_bits)
            if (varying >> shift) & mask == 0:
                continue
            keys = b if column == 0 else a
            starts[:] = 0
            for i in range(count):
                starts[np.int64((keys[i] >> shift) & mask)] += 1
            total = 0
            for digit in range(_DIGITS):
                size = starts[digit]
                starts[digit] = total
                total += size
            for i in range(count):
                bucket = np.int64((keys[i] >> shift) & mask)
                place = starts[bucket]
                starts[bucket] = place + 1
                a_next[place] = a[i]
                b_next[place] = b[i]
            a, a_next = a_next, a
            b, b_next = b_next, b
    return a, b


@kernel
def sort_by_bytes(values: NDArray[np.uint32], room: NDArray[np.uint32], counts: NDArray[np.int64]) -> None:
    """Sort uint32[K] in place, from the lowest byte to the highest (LSD radix sort; Knuth, TAOCP 3, 5.2.5).

    ``room`` (uint32, K or more) and ``counts`` (int64[4, 256]) are scratch, so that many short lists share them.
    """
    counts[:] = 0
    for value in values:
        for place in range(4):
            counts[place, value >> np.uint32(8 * place) & np.uint32(255)] += 1
    for place in range(4):
        total = 0
        for byte in range(256):
            size = counts[place, byte]
            counts[place, byte] = total
            total += size
    for place in range(0, 4, 2):
        _move(values, room, counts[place], place, len(values))
        _move(room, values, counts[place + 1], place + 1, len(values))


@kernel
def _move(
    source: NDArray[np.uint32], target: NDArray[np.uint32], starts: NDArray[np.int64], place: int, count: int
) -> None:
    shift = np.uint32(8 * place)
    for i in range(count):
        byte = source[i] >> shift & np.uint32(255)
        target[starts[byte]] = source[i]
        starts[byte] += 1
