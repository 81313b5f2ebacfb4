"""Rows of a split by their numbers, whichever shards of which sets hold them.

Shards of several sets are numbered set after set.

Legend: n rows asked for, L ids a row, K shards.
"""

import hashlib
import itertools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.errors import ShardError
from winnow.shards.dataset.columns import DecodedGroups, item_type
from winnow.shards.dataset.errors import WHAT_TO_DO
from winnow.shards.dataset.provenance import row_sources
from winnow.shards.dataset.several_sets import SetSplit
from winnow.shards.dataset.shard_file import IDS, ShardFile, check_hash, open_listed

LOSS_MASK = "loss_mask"
_OPEN_SHARDS = 64
"""Shards that stay mapped, beside one of each set."""
_MOST_OPEN = 512
"""Each mapped shard takes one of the process's open files, of which many systems allow 1,024."""


class SplitReader:
    """Reads rows of one split.

    Args:
        parts: the split in each shard set, one at least; they go together.
        verify: whether the sha256 of each shard, and of the index beside it, is compared with the manifest's when it is
            first used.
    """

    def __init__(self, parts: Sequence[SetSplit], verify: bool = False) -> None:
        self.parts = tuple(parts)
        self.shard_set = parts[0].shard_set
        """The first set: row length, vocabulary and labels are those of all."""
        self.shards = tuple(shard for part in parts for shard in part.split.shards)
        self.starts: NDArray[np.int64] = np.concatenate([[0], np.cumsum([shard.rows for shard in self.shards])])
        """int64[K + 1], number of the first row of each shard, and of all rows."""
        self.row_sources = row_sources([part.shard_set.sources for part in parts])
        """Where rows come from."""
        self._part_of = np.repeat(np.arange(len(parts)), [len(part.split.shards) for part in parts])
        self._verify, self._most_open = verify, min(_OPEN_SHARDS + len(parts) - 1, _MOST_OPEN)
        self._decoded = DecodedGroups()
        self._open: OrderedDict[int, ShardFile] = OrderedDict()
        self._verified: set[int] = set()

    @property
    def shard_rows(self) -> NDArray[np.int64]:
        """int64[K], rows of each shard."""
        return np.diff(self.starts)

    @property
    def set_rows(self) -> NDArray[np.int64]:
        """Rows int64[S] of the split in each set."""
        return np.array([part.split.rows for part in self.parts], np.int64)

    def identity(self, sets: int | None = None) -> str:
        """Names the rows and their order, whichever format they are read from; of the first sets alone if asked."""
        names = [part.split.identity for part in self.parts[:sets]]
        return names[0] if len(names) == 1 else hashlib.blake2b(" ".join(names).encode(), digest_size=8).hexdigest()

    def shard(self, number: int) -> ShardFile:
        """The shard of this number, opened if it is not.

        Raises:
            ShardError: it is missing, cut short or altered.
        """
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        entry, part = self.shards[number], self.parts[self._part_of[number]]
        path, file = open_listed(part.folder, entry)
        with file:
            if self._verify and number not in self._verified:
                check_hash(path, file, entry)
                self._verified.add(number)
            opened = ShardFile(path, file, entry, part.shard_set, self._decoded, part.folder, self._verify)
        self._open[number] = opened
        if len(self._open) > self._most_open:
            self._open.popitem(last=False)
        return opened

    def expect(self, number: int) -> None:
        """A shard that will soon be read."""
        if number not in self._open:
            self.parts[self._part_of[number]].folder.expect(self.shards[number])

    def values(self, shards: NDArray[np.int64], rows: NDArray[np.int64], name: str = IDS) -> NDArray[Any]:
        """A fixed-length column of the given rows.

        Args:
            shards: int64[n], shard numbers, n at least 1.
            rows: int64[n], row numbers within the shards.
            name: of the column.

        Returns:
            [n, L] in the dtype in which the file holds it (ids narrower than 32 bits as 32-bit ones where they stand so
            in the file). Read-only.
        """
        first = self.shard(int(shards[0])).column(name)
        if (shards[0] == shards[-1]) and _follow_each_other(shards, rows):
            return first.run(int(rows[0]), len(rows))
        found = np.empty((len(rows), first.length), first.dtype)
        items = found.view(item_type(first))[:, 0]
        for number, places in _by_shard(shards):
            column = self.shard(number).column(name)
            if column.length != first.length:
                paths = [self._path(at) for at in (int(shards[0]), number)]
                raise ShardError(
                    f"column {name!r} has {first.length} values a row in {paths[0]}, {column.length} in {paths[1]}; "
                    f"{WHAT_TO_DO}"
                )
            taken = column.items(rows[places])
            if column.dtype == first.dtype:
                items[places] = taken
            else:  # one shard is read as it stands, 32 bits wide, another one is decoded
                found[places] = taken.view(column.dtype).reshape(-1, column.length)
        return found

    def loss_mask(self, shards: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[Any] | None:
        """[n, L], 0 where the loss must leave a token out; None where no shard of these rows says so."""
        sets = np.unique(self._part_of[shards]) if len(self.parts) > 1 else [0]
        if len(sets) == 1:
            return self.values(shards, rows, LOSS_MASK) if LOSS_MASK in self.shard(int(shards[0])).names else None
        found: NDArray[Any] | None = None
        for number, places in _by_shard(shards):
            if LOSS_MASK in self.shard(number).names:
                if found is None:
                    found = np.ones((len(rows), self.shard_set.row_tokens), np.uint8)
                found[places] = self.values(np.full(len(places), number), rows[places], LOSS_MASK)
        return found

    @cached_property
    def full(self) -> bool:
        """No row of the split has padding, by the manifest's count of tokens."""
        return all(shard.tokens == shard.rows * self.shard_set.row_tokens for shard in self.shards)

    def filled(self, shards: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64[n], how many ids at the beginning of each row are text; the rest is padding."""
        found = np.full(len(rows), self.shard_set.row_tokens, np.int64)
        for number, places in [] if self.full else _by_shard(shards):
            shard = self.shard(number)
            if not shard.full:
                found[places] = shard.filled()[rows[places]]
        return found

    def _path(self, number: int) -> str:
        return f"{self.parts[self._part_of[number]].shard_set.location}/{self.shards[number].path}"

    def pieces(
        self, shards: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Lengths uint32[P] of the document pieces, row after row, and how many int64[n] each row has."""
        return self._of_pieces(shards, rows, lambda shard: shard.pieces(), np.dtype(np.uint32))

    def sources(
        self, shards: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Where the pieces come from, int32[P] into ``row_sources``, row after row, and how many int64[n] a row has.

        Raises:
            ShardError: a shard does not say whose its pieces are.
        """
        return self._of_pieces(shards, rows, lambda shard: shard.sources(self.row_sources), np.dtype(np.int32))

    def _of_pieces(
        self,
        shards: NDArray[np.int64],
        rows: NDArray[np.int64],
        values_of: Callable[[ShardFile], tuple[NDArray[Any], NDArray[np.int64]]],
        dtype: np.dtype[Any],
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """A value for each piece, row after row, and how many int64[n] each row has.

        ``values_of`` gives those of a shard of R rows, and offsets int64[R + 1] into them.
        """
        parts, numbers = [np.zeros(0, dtype)], [np.zeros(0, np.int64)]
        counts = np.zeros(len(rows), np.int64)
        for number, places in _by_shard(shards):
            values, offsets = values_of(self.shard(number))
            begins = offsets[rows[places]]
            counts[places] = offsets[rows[places] + 1] - begins
            parts.append(values[_ranges(begins, counts[places])])
            numbers.append(places)
        joined, order = np.concatenate(parts), np.concatenate(numbers)
        if len(parts) == 2:  # all of one shard
            return joined, counts
        begins = np.empty_like(counts)
        begins[order] = np.cumsum(counts[order]) - counts[order]
        return joined[_ranges(begins, counts)], counts


def _follow_each_other(shards: NDArray[np.int64], rows: NDArray[np.int64]) -> bool:
    """Whether rows lie one behind the other in one shard."""
    return bool((rows[1:] - rows[:-1] == 1).all() and (shards == shards[0]).all())


def _by_shard(shards: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64]]]:
    """Each shard number, and the places int64[m] where it stands."""
    if not len(shards):
        return []
    # numbers of 16 bits are sorted by their digits, in a third of the time
    order = np.argsort(shards.astype(np.uint16) if shards.max() < 1 << 16 else shards, kind="stable")
    sorted_shards = shards[order]
    cuts = [0, *(np.flatnonzero(np.diff(sorted_shards)) + 1).tolist(), len(order)]
    return [(int(sorted_shards[a]), order[a:b]) for a, b in itertools.pairwise(cuts)]


def _ranges(begins: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """begins[0], begins[0] + 1, ... (counts[0] of them), begins[1], ..."""
    before = np.cumsum(counts) - counts
    ranges: NDArray[np.int64] = np.arange(int(counts.sum())) + np.repeat(begins - before, counts)
    return ranges
