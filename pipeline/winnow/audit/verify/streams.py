"""What checks need of all parts together while they go over a run part by part: some rows, and if keepers stay."""

from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

KEEPERS_AT_ONCE = 1 << 23
"""Duplicates whose keepers are looked for in one pass over what is kept; each takes some 50 bytes meanwhile."""


class Spread:
    """Some rows of a stream of tables, spread evenly over it: every n-th, with n a power of two."""

    def __init__(self, size: int) -> None:
        """``size``: as many rows at least where there are so many, and less than twice as many."""
        self._size, self._step, self._seen = size, 1, 0
        self._rows: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        """The next rows."""
        first = -self._seen % self._step
        self._seen += len(table)
        self._rows.append(table.take(np.arange(first, len(table), self._step)))
        while self._seen > 2 * self._size * self._step:
            rows = self.rows()
            self._step *= 2
            self._rows = [rows.take(np.arange(0, len(rows), 2))]

    def rows(self) -> pa.Table:
        """The rows, in order; there has to have been a table."""
        return pa.concat_tables(self._rows).combine_chunks()


def count_kept(
    keepers: Iterable[NDArray[np.uint64]], kept: Callable[[], Iterable[NDArray[np.uint64]]]
) -> tuple[int, int]:
    """How many documents have a keeper, and for how many of them it is among what is kept.

    Args:
        keepers: uint64[any] of documents that were removed, part by part.
        kept: gives what is kept, uint64[any] each, rising; asked for as often as needed.
    """
    documents = found = 0
    waiting: list[NDArray[np.uint64]] = []

    def look() -> int:
        names, times = np.unique(np.concatenate(waiting), return_counts=True)
        there = np.zeros(len(names), bool)
        for docs in kept():
            if len(docs):
                begin, end = np.searchsorted(names, docs[[0, -1]])
                place = np.searchsorted(docs, names[begin : end + 1])
                there[begin : end + 1] |= docs[np.minimum(place, len(docs) - 1)] == names[begin : end + 1]
        waiting.clear()
        return int(times[there].sum())

    for docs in keepers:
        documents += len(docs)
        waiting.append(docs)
        if sum(map(len, waiting)) >= KEEPERS_AT_ONCE:
            found += look()
    return documents, found + (look() if waiting else 0)
