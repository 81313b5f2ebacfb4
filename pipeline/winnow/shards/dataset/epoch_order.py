"""The order of rows in an epoch. Epoch 0 is the stored order; later epochs are shuffles that rewrite nothing.

Shards are put in a random order, ``mix_shards`` of them at a time are one window, and the rows of a window are put in a
random order. Both orders come from sorting independent 64-bit keys, so each is uniform (a tie among n keys has a chance
under n^2 / 2^65 and is broken by place). Everything follows from (seed, epoch, rows of each shard, ``mix_shards``).

Keys: Philox4x64-10, Salmon and others, "Parallel random numbers: as easy as 1, 2, 3" (2011); numpy promises that the
raw stream of its bit generators does not change.
"""

import hashlib
import itertools
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Shard numbers int64[n] and row numbers int64[n] within them."""
_WINDOWS_KEPT = 2
"""A batch at the border of two windows needs both."""


def random_order(count: int, *named_by: int) -> NDArray[np.int64]:
    """A uniformly random permutation of 0 .. count - 1, the same for the same integers ``named_by``."""
    digest = hashlib.blake2b(" ".join(map(str, named_by)).encode(), digest_size=16).digest()
    generator: Any = np.random.Philox(key=int.from_bytes(digest, "little"))
    keys: NDArray[np.uint64] = generator.random_raw(count)
    return np.argsort(keys, kind="stable").astype(np.int64)


class PhasedOrder:
    """The order of a split with phases: each comes behind the one before, and is shuffled in itself.

    Args:
        phases: shards of each phase.
        shard_rows, seed, epoch, mix_shards, shuffle_first: as :class:`EpochOrder` has them.
    """

    def __init__(
        self,
        phases: tuple[int, ...],
        shard_rows: NDArray[np.int64],
        seed: int,
        epoch: int,
        mix_shards: int,
        shuffle_first: bool = False,
    ) -> None:
        self._shards = np.concatenate([[0], np.cumsum(phases)]).astype(np.int64)
        mine = [shard_rows[first:last] for first, last in itertools.pairwise(self._shards.tolist())]
        self._orders = [EpochOrder(rows, seed, epoch, mix_shards, shuffle_first) for rows in mine]
        self._rows = np.concatenate([[0], np.cumsum([rows.sum() for rows in mine])]).astype(np.int64)
        self._windows = np.concatenate([[0], np.cumsum([order.windows for order in self._orders])]).astype(np.int64)

    def rows_at(self, positions: NDArray[np.int64]) -> Rows:
        """The rows at the given positions int64[n] of the epoch."""
        phase = np.searchsorted(self._rows, positions, side="right") - 1
        shards, rows = np.empty_like(positions), np.empty_like(positions)
        for number in np.unique(phase).tolist():
            inside = phase == number
            shards[inside], rows[inside] = self._orders[number].rows_at(positions[inside] - self._rows[number])
            shards[inside] += self._shards[number]
        return shards, rows

    def window_of(self, position: int) -> int:
        """Number of the window that holds a position, counted through the phases."""
        phase = int(np.searchsorted(self._rows, position, side="right")) - 1
        return int(self._windows[phase]) + self._orders[phase].window_of(position - int(self._rows[phase]))

    def shards_of(self, window: int) -> list[int]:
        """Shards of a window; none if there is no such window."""
        phase = int(np.searchsorted(self._windows, window, side="right")) - 1
        if phase >= len(self._orders):
            return []
        inside = self._orders[phase].shards_of(window - int(self._windows[phase]))
        return [number + int(self._shards[phase]) for number in inside]


class EpochOrder:
    """Which row stands where in one epoch.

    Args:
        shard_rows: int64[K], rows of each shard, in the stored order.
        seed: of the shuffles.
        epoch: 0 is the stored order, unless ``shuffle_first``.
        mix_shards: shards whose rows are mixed with each other.
        shuffle_first: epoch 0 is shuffled, too.
    """

    def __init__(
        self, shard_rows: NDArray[np.int64], seed: int, epoch: int, mix_shards: int, shuffle_first: bool = False
    ) -> None:
        self._shuffles = epoch > 0 or shuffle_first
        self._seed, self._epoch, self._mix = seed, epoch, mix_shards if self._shuffles else 1
        count = len(shard_rows)
        self.shards = random_order(count, seed, epoch) if self._shuffles else np.arange(count)
        """int64[K], shard numbers in the order in which the epoch comes to them."""
        self._starts = np.concatenate([[0], np.cumsum(shard_rows[self.shards])])
        self._windows: OrderedDict[int, NDArray[np.uint32]] = OrderedDict()

    def rows_at(self, positions: NDArray[np.int64]) -> Rows:
        """The rows at the given positions int64[n] of the epoch."""
        if self._shuffles:
            positions = self._shuffled(positions)
        place = np.searchsorted(self._starts, positions, side="right") - 1
        return self.shards[place], positions - self._starts[place]

    @property
    def windows(self) -> int:
        """Number of windows."""
        return -(-len(self.shards) // self._mix)

    def window_of(self, position: int) -> int:
        """Number of the window (in the stored order: of the shard) that holds a position."""
        return int(np.searchsorted(self._starts[:-1][:: self._mix], position, side="right")) - 1

    def shards_of(self, window: int) -> list[int]:
        """Shards of a window; none if there is no such window."""
        return self.shards[window * self._mix : (window + 1) * self._mix].tolist()  # type: ignore[no-any-return]

    def _shuffled(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions before the rows of a window were mixed."""
        starts = self._starts[:-1][:: self._mix]
        windows = np.searchsorted(starts, positions, side="right") - 1
        out = np.empty_like(positions)
        for window in np.unique(windows).tolist():
            inside = windows == window
            first = int(starts[window])
            out[inside] = first + self._window(window)[positions[inside] - first]
        return out

    def _window(self, window: int) -> NDArray[np.uint32]:
        if window in self._windows:
            self._windows.move_to_end(window)
            return self._windows[window]
        first = self._starts[window * self._mix]
        last = self._starts[min((window + 1) * self._mix, len(self._starts) - 1)]
        order = random_order(int(last - first), self._seed, self._epoch, window).astype(np.uint32)
        self._windows[window] = order
        if len(self._windows) > _WINDOWS_KEPT:
            self._windows.popitem(last=False)
        return order
