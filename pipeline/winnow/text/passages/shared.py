"""Anchors that are worth a look: those that several texts hold, or one text twice.

An anchor is a uint64 of :mod:`winnow.text.passages.windows`: 40 bits of its hash above the block in which it stands.
Whether two anchors are the same gram is not asked: chance hits only cost a look.

Legend: A anchors.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.text.passages.windows import BLOCK_BITS

_SHIFT = np.uint64(BLOCK_BITS)


def keys_of(anchors: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """40 bits of each hash: uint64[A], rising where ``anchors`` do."""
    return anchors >> _SHIFT


def blocks_of(anchors: NDArray[np.uint64], blocks: int) -> NDArray[np.int64]:
    """In which of so many blocks some of ``anchors`` may stand: int64, rising."""
    mask = (1 << BLOCK_BITS) - 1
    held = np.zeros(min(blocks, mask + 1), np.bool_)
    held[(anchors & np.uint64(mask)).astype(np.int64)] = True
    return np.flatnonzero(held if blocks <= len(held) else held[np.arange(blocks) & mask])


def first_and_repeated(anchors: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """One anchor of each key, and all of those keys that come more than once: uint64, rising.

    Args:
        anchors: uint64[A] in any order.
    """
    order = np.sort(anchors)
    keys = keys_of(order)
    same = keys[1:] == keys[:-1]
    first, repeated = np.ones(len(order), np.bool_), np.zeros(len(order), np.bool_)
    first[1:] = ~same
    repeated[1:] = same
    repeated[:-1] |= same
    return order[first], order[repeated]


def in_several(pieces: list[NDArray[np.uint64]]) -> list[NDArray[np.uint64]]:
    """Of pieces of anchors, each rising and with a key once, those whose key stands in another piece, too."""
    keys = np.sort(np.concatenate([keys_of(piece) for piece in pieces])) if pieces else np.empty(0, np.uint64)
    several = keys[1:][keys[1:] == keys[:-1]]
    return [piece[_stand_in(keys_of(piece), several)] for piece in pieces]


@kernel
def _stand_in(keys: Any, wanted: Any) -> Any:
    """bool[A], which of rising keys stand in ``wanted``, rising, too."""
    found = np.zeros(len(keys), np.bool_)
    place = 0
    for index in range(len(keys)):
        while place < len(wanted) and wanted[place] < keys[index]:
            place += 1
        found[index] = place < len(wanted) and wanted[place] == keys[index]
    return found
