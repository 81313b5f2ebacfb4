"""Rows that are read together: put in order by shard once, then taken column by column.

Legend: n rows asked for, L ids a row, K the most document pieces of a row.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.errors import ShardError
from winnow.shards.dataset.columns import item_type
from winnow.shards.dataset.errors import WHAT_TO_DO
from winnow.shards.dataset.provenance import NO_PIECE
from winnow.shards.dataset.shard_file import IDS, ShardFile
from winnow.shards.dataset.split_reader import SplitReader
from winnow.shards.formats.raw import LOSS_MASK

Lists = tuple[NDArray[Any], NDArray[np.int64]]
"""Values of R lists, one behind the other, and offsets int64[R + 1] into them."""


class PickedRows:
    """The rows asked for, by any number of their columns.

    Args:
        reader: of the split.
        shards: int64[n], shard numbers.
        rows: int64[n], row numbers within the shards.
    """

    def __init__(self, reader: SplitReader, shards: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._reader, self._count = reader, len(rows)
        # numbers of 16 bits are sorted by their digits, in half the time
        numbers = shards.astype(np.uint16) if len(reader.shards) <= 1 << 16 else shards
        self._order = order = numbers.argsort(kind="stable")
        numbers, rows = shards[order], rows[order]
        firsts = np.flatnonzero(numbers[1:] != numbers[:-1]) + 1
        cuts = [0, *firsts.tolist(), len(rows)] if len(rows) else []
        self._groups = [(int(numbers[a]), order[a:b], rows[a:b]) for a, b in itertools.pairwise(cuts)]
        """Numbers of the shards, which of the rows asked for are theirs int64[m], and their numbers int64[m] there."""
        self._taken: dict[str, NDArray[Any]] = {}

    def values(self, name: str = IDS) -> NDArray[Any]:
        """A fixed-length column of the rows, of which there is one at least.

        Returns:
            [n, L] in the dtype in which the file holds it (ids narrower than 32 bits as 32-bit ones where they stand so
            in the file). Can be read-only.

        Raises:
            ShardError: there is no such column, or its rows differ in length.
        """
        if name not in self._taken:
            self._taken[name] = self._take(name)
        return self._taken[name]

    def loss_mask(self) -> NDArray[Any] | None:
        """[n, L], 0 where the loss must leave a token out; None where no shard of these rows says so."""
        masked = [LOSS_MASK in self._reader.shard(number).names for number, _, _ in self._groups]
        if all(masked) or not any(masked):
            return self.values(LOSS_MASK) if any(masked) else None
        found = np.ones((self._count, self._reader.shard_set.row_tokens), np.uint8)
        for (number, places, rows), says in zip(self._groups, masked, strict=True):
            if says:
                found[places] = PickedRows(self._reader, np.full(len(rows), number), rows).values(LOSS_MASK)
        return found

    def filled(self) -> NDArray[np.int64]:
        """int64[n], how many ids at the beginning of each row are text; the rest is padding."""
        found = np.empty(self._count, np.int64)
        for number, places, rows in self._groups:
            found[places] = self._reader.shard(number).filled(rows)
        return found

    def piece_ends(self) -> NDArray[np.uint32]:
        """uint32[K, n], where the document pieces of each row end; behind the last, its end again."""
        ends, counts = self._lists(lambda shard: shard.piece_ends())
        if not counts.all():
            ends[:, counts == 0] = 0
        return ends

    def sources(self) -> NDArray[np.int32]:
        """int32[K, n], the ``row_sources`` that the pieces of each row come from, -1 behind the last.

        Raises:
            ShardError: a shard does not say whose its pieces are.
        """
        known = self._reader.row_sources
        sources, counts = self._lists(lambda shard: shard.sources(known))
        sources[np.arange(len(sources))[:, None] >= counts] = NO_PIECE
        return sources

    def _take(self, name: str) -> NDArray[Any]:
        number, _, rows = self._groups[0]
        first = self._reader.shard(number).column(name)
        if len(self._groups) == 1 and (rows[1:] - rows[:-1] == 1).all():
            return first.run(int(rows[0]), len(rows))
        found = np.empty((self._count, first.length), first.dtype)
        items = found.view(item_type(first))[:, 0]
        for other, places, rows in self._groups:
            column = self._reader.shard(other).column(name)
            if column.length != first.length:
                paths = [self._reader.path(at) for at in (number, other)]
                raise ShardError(
                    f"column {name!r} has {first.length} values a row in {paths[0]}, {column.length} in {paths[1]}; "
                    f"{WHAT_TO_DO}"
                )
            taken = column.items(rows)
            if column.dtype == first.dtype:
                items[places] = taken
            else:  # one shard is read as it stands, 32 bits wide, another one is decoded
                found[places] = taken.view(column.dtype).reshape(-1, column.length)
        return found

    def _lists(self, lists_of: Callable[[ShardFile], Lists]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The list of each row [K, n], and how long each is int64[n]; behind the end of a list, its last value again.

        Place by place, as numpy takes a step of its own for each row of an array of short ones.
        """
        lists = [(*lists_of(self._reader.shard(number)), rows) for number, _, rows in self._groups]
        begins = np.concatenate([np.zeros(0, np.int64), *(offsets[rows] for _, offsets, rows in lists)])
        ends = np.concatenate([np.zeros(0, np.int64), *(offsets[rows + 1] for _, offsets, rows in lists)])
        counts = ends - begins
        at = np.minimum(np.arange(counts.max(initial=0))[:, None] + begins, ends - 1).T.copy()
        found = np.empty(at.shape, lists[0][0].dtype if lists else np.uint32)
        first = 0
        for values, _, rows in lists:
            part, first = slice(first, first + len(rows)), first + len(rows)
            if len(values):
                values.take(at[part], out=found[part], mode="clip")
        place = np.empty_like(self._order)
        place[self._order] = np.arange(self._count)
        return found.take(place, axis=0).T.copy(), counts.take(place)
