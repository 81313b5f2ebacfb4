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
from collections.abc import Iterator
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
    return order_of(generator.random_raw(count))


def order_of(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The places of the keys uint64[n] in their order; of equal ones the earlier place is first."""
    order = np.argsort(keys)  # a stable sort takes six times as long, and equal keys alone need it
    in_order = keys[order]
    return np.argsort(keys, kind="stable") if (in_order[1:] == in_order[:-1]).any() else order


def parts_between(starts: NDArray[np.int64], first: int, last: int) -> Iterator[tuple[int, int, int]]:
    """Which parts hold the positions first .. last - 1.

    Args:
        starts: int64[P + 1], where each part begins, and the end of the last.
        first, last: positions.

    Yields:
        Number of a part, and which of its positions, counted from its own beginning: from, and up to.
    """
    for part in range(int(starts.searchsorted(first, "right")) - 1, int(starts.searchsorted(last))):
        begin, end = starts[part : part + 2].tolist()
        yield part, max(first, begin) - begin, min(last, end) - begin


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
        self._starts = np.concatenate([[0], np.cumsum([rows.sum() for rows in mine])]).astype(np.int64)
        self._windows = np.concatenate([[0], np.cumsum([order.windows for order in self._orders])]).astype(np.int64)

    def rows_between(self, first: int, last: int) -> Rows:
        """The rows at the positions first .. last - 1 of the epoch."""
        parts = [np.zeros((2, 0), np.int64)]
        for number, low, high in parts_between(self._starts, first, last):
            shards, rows = self._orders[number].rows_between(low, high)
            parts.append(np.stack([shards + self._shards[number], rows]))
        shards, rows = np.concatenate(parts, axis=1)
        return shards, rows

    def window_of(self, position: int) -> int:
        """Number of the window that holds a position, counted through the phases."""
        phase = int(self._starts.searchsorted(position, "right")) - 1
        return int(self._windows[phase]) + self._orders[phase].window_of(position - int(self._starts[phase]))

    def shards_of(self, window: int) -> list[int]:
        """Shards of a window; none if there is no such window."""
        phase = int(self._windows.searchsorted(window, "right")) - 1
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
        self._window_starts = np.append(self._starts[:-1][:: self._mix], self._starts[-1])
        self._windows: OrderedDict[int, NDArray[np.uint32]] = OrderedDict()

    def rows_between(self, first: int, last: int) -> Rows:
        """The rows at the positions first .. last - 1 of the epoch."""
        positions = self._shuffled(first, last) if self._shuffles else np.arange(first, last)
        place = self._starts.searchsorted(positions, "right") - 1
        return self.shards[place], positions - self._starts[place]

    @property
    def windows(self) -> int:
        """Number of windows."""
        return -(-len(self.shards) // self._mix)

    def window_of(self, position: int) -> int:
        """Number of the window (in the stored order: of the shard) that holds a position."""
        return int(self._window_starts[:-1].searchsorted(position, "right")) - 1

    def shards_of(self, window: int) -> list[int]:
        """Shards of a window; none if there is no such window."""
        return self.shards[window * self._mix : (window + 1) * self._mix].tolist()  # type: ignore[no-any-return]

    def _shuffled(self, first: int, last: int) -> NDArray[np.int64]:
        """The positions first .. last - 1 as they were before the rows of a window were mixed."""
        starts = self._window_starts
        parts = [self._window(at)[low:high] + starts[at] for at, low, high in parts_between(starts, first, last)]
        return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, np.int64), *parts])

    def _window(self, window: int) -> NDArray[np.uint32]:
        if window in self._windows:
            self._windows.move_to_end(window)
            return self._windows[window]
        first, last = self._window_starts[window : window + 2].tolist()
        order = random_order(last - first, self._seed, self._epoch, window).astype(np.uint32)
        self._windows[window] = order
        if len(self._windows) > _WINDOWS_KEPT:
            self._windows.popitem(last=False)
        return order
