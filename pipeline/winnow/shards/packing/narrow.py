"""Token ids in three bytes each, where they would take four: no vocabulary has 2^24 ids.

Only on their way through the shuffle, where all ids are written and read once more; tables and shards have whole
integers.

Legend: T tokens of a stretch.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.shards.packing.stream import Stretch

NARROW = np.dtype("V3")
"""An id below 2^24, little-endian."""


@kernel
def _narrow(ids: NDArray[np.uint32], stored: NDArray[np.uint8]) -> int:
    """Fills ``stored``; returns all bits that ids have above the three bytes."""
    lost = np.uint32(0)
    for place in range(len(ids)):
        lost |= ids[place] >> np.uint32(24)
        stored[3 * place] = ids[place]
        stored[3 * place + 1] = ids[place] >> np.uint32(8)
        stored[3 * place + 2] = ids[place] >> np.uint32(16)
    return int(lost)


@kernel
def _widen(stored: NDArray[np.uint8], ids: NDArray[np.uint32]) -> None:
    for place in range(len(ids)):
        low, middle = np.uint32(stored[3 * place]), np.uint32(stored[3 * place + 1])
        ids[place] = low | middle << np.uint32(8) | np.uint32(stored[3 * place + 2]) << np.uint32(16)


def narrowed(stretches: Iterable[NDArray[np.uint32]]) -> Iterator[NDArray[Any]]:
    """Stretches of NARROW [T] of those of uint32[T], each in a buffer that is used again.

    Raises:
        ValueError: an id does not fit.
    """
    buffer = np.empty(0, np.uint8)
    for ids in stretches:
        if len(buffer) < 3 * len(ids):
            buffer = np.empty(3 * len(ids), np.uint8)
        stored = buffer[: 3 * len(ids)]
        if _narrow(ids, stored):
            raise ValueError(
                f"the token id {int(ids.max()):,} is over {(1 << 24) - 1:,}; no vocabulary has so many ids"
            )
        yield stored.view(NARROW)


def widened(stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """The same back: stretches of uint32[T] with their places."""
    buffer = np.empty(0, np.uint32)
    for at, stored in stretches:
        if len(buffer) < len(stored):
            buffer = np.empty(len(stored), np.uint32)
        ids = buffer[: len(stored)]
        _widen(stored.view(np.uint8), ids)
        yield at, ids
