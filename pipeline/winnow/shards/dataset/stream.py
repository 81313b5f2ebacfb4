"""The stream of samples: all rows of a split, epoch after epoch, numbered from 0 for all ranks together.

Sample g is the row at position g mod N of epoch g div N, for N rows. So one integer, the number of samples read, tells
where a training run stands.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from winnow.shards.dataset.batches import Allocate, Batch, BatchForm, keep_freed_memory, make_batch, new_arrays
from winnow.shards.dataset.epoch_order import EpochOrder, PhasedOrder, Rows
from winnow.shards.dataset.folders import AT_ONCE
from winnow.shards.dataset.pair_batches import make_pair_batch
from winnow.shards.dataset.set_order import SetOrder
from winnow.shards.dataset.several_sets import Opener, SetPlace
from winnow.shards.dataset.split_reader import SplitReader
from winnow.shards.dataset.steps import ReaderRank, Tail, samples_of


@dataclass(frozen=True)
class Source:
    """Where a split is read from."""

    location: str | tuple[str | SetPlace, ...]
    """A shard set, a corpus, or several of them."""
    split: str = "train"
    verify: bool = False
    cache: str | None = None
    cache_mb: int | None = None
    file_format: str | None = None
    until: str | None = None
    """The last set of a corpus that is read."""
    key: str | None = None
    """``env:NAME``, where encrypted sets find their key, in place of what their manifests say."""

    def reader(self) -> SplitReader:
        """Read the manifests and get ready to open shards.

        Raises:
            ShardError: no manifest, no such split, an empty one, or sets that cannot be read as one.
        """
        locations = (self.location,) if isinstance(self.location, str) else self.location
        opener = Opener(self.split, self.until, self.cache, self.cache_mb, self.file_format, self.key)
        return SplitReader(opener.open(locations), self.verify)

    def pinned(self, reader: SplitReader) -> "Source":
        """The source of the very sets that a reader of it found."""
        return replace(self, location=tuple(part.place for part in reader.parts), until=None)


class SampleStream:
    """Samples by their numbers, and the batches of one reader among many.

    Args:
        reader: of the split.
        seed: of the epochs' shuffles.
        mix_shards: shards whose rows are mixed with each other in epochs after the first.
        epochs: passes over the split; None: without end.
        shuffle_first: the first epoch is shuffled, too.
    """

    def __init__(
        self,
        reader: SplitReader,
        seed: int = 0,
        mix_shards: int = 16,
        epochs: int | None = 1,
        shuffle_first: bool = False,
    ) -> None:
        if mix_shards < 1 or (epochs is not None and epochs < 1):
            raise ValueError(f"mix_shards ({mix_shards}) and epochs ({epochs}) must be at least 1")
        keep_freed_memory()
        self.reader, self._seed, self._mix, self._shuffle_first = reader, seed, mix_shards, shuffle_first
        self.rows = int(reader.starts[-1])
        """N, samples of an epoch."""
        self.total = None if epochs is None else epochs * self.rows
        """Samples of the stream; None if it has no end."""
        self._orders: dict[int, EpochOrder | PhasedOrder | SetOrder] = {}
        self._window: tuple[int, int] | None = None

    @property
    def identity(self) -> str:
        """Names the order of the stream: equal for equal shards, seed and ways to shuffle."""
        return self.identity_of(None)

    def identity_of(self, sets: int | None) -> str:
        """The same, as it was when there were so many sets; None: of all."""
        named_by = f"{self.reader.identity(sets)} {self._seed} {self._mix} {self._shuffle_first}"
        return hashlib.blake2b(named_by.encode(), digest_size=8).hexdigest()

    def rows_of(self, first: int, last: int) -> Rows:
        """Shard numbers and row numbers int64[n] of samples first .. last - 1."""
        parts = []
        for epoch in range(first // self.rows, -(-last // self.rows)):
            low, high = max(first - epoch * self.rows, 0), min(last - epoch * self.rows, self.rows)
            order = self._order(epoch)
            self._announce(epoch, order, low)
            parts.append(order.rows_between(low, high))
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def batches(
        self,
        place: ReaderRank,
        batch: int,
        form: BatchForm,
        start: int = 0,
        tail: Tail = "drop",
        first_step: int | None = None,
        allocate: Allocate = new_arrays,
    ) -> Iterator[tuple[int, Batch]]:
        """The batches of one reader.

        Args:
            place: of the reader.
            batch: B, rows of a rank in a step.
            form: what a batch holds.
            start: samples that all ranks together have read before.
            tail: what becomes of an incomplete last step.
            first_step: the reader's first step; by default the number of its worker.
            allocate: makes all arrays of a batch at once.

        Yields:
            (sample, batch): the batch, and the sample at which the reader's next step begins for all ranks together.
        """
        begin = place.worker if first_step is None else first_step
        for step, first, last in samples_of(place, start, self.total, batch, tail, begin):
            shards, rows = self.rows_of(first, last)
            make = make_pair_batch if self.reader.shard_set.preferences else make_batch
            yield (
                start + (step + place.workers) * batch * place.world,
                make(self.reader, shards, rows, batch, form, allocate),
            )

    def _order(self, epoch: int) -> EpochOrder | PhasedOrder | SetOrder:
        if epoch not in self._orders:
            self._orders = {number: order for number, order in self._orders.items() if number == epoch - 1}
            self._orders[epoch] = self._new_order(epoch)
        return self._orders[epoch]

    def _new_order(self, epoch: int) -> EpochOrder | PhasedOrder | SetOrder:
        if epoch == 0 and not self._shuffle_first and len(self.reader.parts) > 1:
            return SetOrder(self.reader.set_rows, self.reader.starts)
        settings = self.reader.shard_rows, self._seed, epoch, self._mix, self._shuffle_first
        phases = self.reader.parts[0].split.phases
        return PhasedOrder(phases, *settings) if phases else EpochOrder(*settings)

    def _announce(self, epoch: int, order: EpochOrder | PhasedOrder | SetOrder, position: int) -> None:
        """Say which shards will be wanted next, whenever the stream comes to others."""
        window = order.window_of(position)
        if (epoch, window) != self._window:
            self._window = epoch, window
            now = order.shards_of(window)
            windows = max(1, AT_ONCE // max(1, len(now)))  # ahead, with as many shards as are fetched at a time
            soon = (order.shards_of(window + number) for number in range(1, windows + 1))
            for number in chain(now, *soon):
                self.reader.expect(number)


def positions_as_rows(reader: SplitReader, positions: NDArray[np.int64]) -> Rows:
    """Shards and rows of positions in the stored order."""
    shards = np.searchsorted(reader.starts, positions, side="right") - 1
    return shards, positions - reader.starts[shards]
