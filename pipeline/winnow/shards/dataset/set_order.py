"""The first epoch over several shard sets: each keeps its stored order, and all of them are spread evenly.

Row i of a set of n rows stands at (i + 1/2) / n of the epoch. So every stretch of it holds the sets in their shares, to
a row of each, wherever a training run ends; and as the stored order of a set is a random one, so is that of all.
Everything follows from the number of rows of each set, so any position is found without those before it.
"""

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from winnow.shards.dataset.epoch_order import Rows, parts_between

_BLOCK_ROWS = 1 << 16
"""Rows that are put in order at a time; no position depends on it."""
_BLOCKS_KEPT = 2
"""A batch at the border of two blocks needs both."""


class SetOrder:
    """Which row stands where in the first epoch over several sets.

    Args:
        set_rows: int64[S], rows of each set, 1 at least.
        starts: int64[K + 1], number of the first row of each shard, set after set, and of all rows.
        block_rows: rows that are put in order at a time.
    """

    def __init__(self, set_rows: NDArray[np.int64], starts: NDArray[np.int64], block_rows: int = _BLOCK_ROWS) -> None:
        self._rows, self._starts = set_rows, starts
        self._set_starts = np.cumsum(set_rows) - set_rows
        self._times = np.linspace(0.0, 1.0, -(-int(set_rows.sum()) // block_rows) + 1)
        self._block_starts = np.zeros(len(self._times), np.int64)
        for rows in set_rows.tolist():
            self._block_starts += _rows_before(self._times, rows)
        self._blocks: OrderedDict[int, NDArray[np.int64]] = OrderedDict()

    def rows_between(self, first: int, last: int) -> Rows:
        """Shard numbers and row numbers of the rows at the positions first .. last - 1 of the epoch."""
        parts = [self._block(at)[low:high] for at, low, high in parts_between(self._block_starts, first, last)]
        numbers = np.concatenate([np.zeros(0, np.int64), *parts])
        shards = np.searchsorted(self._starts, numbers, side="right") - 1
        return shards, numbers - self._starts[shards]

    def window_of(self, position: int) -> int:
        """Number of the block that holds a position."""
        return int(np.searchsorted(self._block_starts, position, side="right")) - 1

    def shards_of(self, window: int) -> list[int]:
        """Shards of a block; none if there is no such block."""
        if window + 1 >= len(self._times):
            return []
        found: set[int] = set()
        firsts, lasts = self._ranges(window)
        for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
            low, high = np.searchsorted(self._starts, [first, last - 1], side="right") - 1
            found.update(range(low, high + 1) if last > first else ())
        return sorted(found)

    def _ranges(self, block: int) -> NDArray[np.int64]:
        """int64[2, S], number of the first row of each set in a block, and the one after the last."""
        return _rows_before(self._times[block : block + 2, None], self._rows) + self._set_starts

    def _block(self, block: int) -> NDArray[np.int64]:
        """Numbers of the rows of a block, in order."""
        if block in self._blocks:
            self._blocks.move_to_end(block)
            return self._blocks[block]
        firsts, lasts = self._ranges(block)
        which = np.repeat(np.arange(len(firsts)), lasts - firsts)
        before = np.cumsum(lasts - firsts) - (lasts - firsts)
        numbers = np.arange(len(which)) + (firsts - before)[which]
        times = (numbers - self._set_starts[which] + 0.5) / self._rows[which]
        self._blocks[block] = numbers[np.argsort(times, kind="stable")]  # of equal times the earlier set is first
        if len(self._blocks) > _BLOCKS_KEPT:
            self._blocks.popitem(last=False)
        return self._blocks[block]


def _rows_before(times: NDArray[np.float64], rows: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """How many rows of a set of ``rows`` stand before each time; both are broadcast."""
    found = np.clip(np.floor(times * rows + 0.5), 0, rows)  # off by one where the division below rounds
    found -= (found > 0) & ((found - 0.5) / rows >= times)
    found += (found < rows) & ((found + 0.5) / rows < times)
    return found.astype(np.int64)
