"""Rows of a split by their numbers, whichever shards hold them.

Legend: n rows asked for, L ids a row.
"""

from collections import OrderedDict
from collections.abc import ItemsView
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.shards.dataset.columns import Bytes, DecodedGroups
from pipeline.shards.dataset.folders import Folder
from pipeline.shards.dataset.shard_file import IDS, ShardFile, check_hash, column_values
from pipeline.shards.dataset.shard_set import ShardSet, Split

_OPEN_SHARDS = 64
"""Shards that stay mapped."""


class SplitReader:
    """Reads rows of one split.

    Args:
        shard_set: the shard set.
        split: one of its splits.
        folder: where its files lie.
        verify: whether the sha256 of each shard, and of the index beside it, is compared with the manifest's when it is
            first used.
    """

    def __init__(self, shard_set: ShardSet, split: Split, folder: Folder, verify: bool = False) -> None:
        self.shard_set, self.split = shard_set, split
        self.starts: NDArray[np.int64] = np.concatenate([[0], np.cumsum([shard.rows for shard in split.shards])])
        """int64[K + 1], number of the first row of each shard, and of all rows."""
        self._folder, self._verify = folder, verify
        self._decoded = DecodedGroups()
        self._open: OrderedDict[int, ShardFile] = OrderedDict()
        self._verified: set[int] = set()

    @property
    def shard_rows(self) -> NDArray[np.int64]:
        """int64[K], rows of each shard."""
        return np.diff(self.starts)

    def shard(self, number: int) -> ShardFile:
        """The shard of this number, opened if it is not.

        Raises:
            ShardError: it is missing, cut short or altered.
        """
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        entry = self.split.shards[number]
        path = self._folder.local_file(entry.path, entry.bytes)
        if self._verify and number not in self._verified:
            check_hash(Path(path), entry)
            self._verified.add(number)
        opened = self._open[number] = ShardFile(
            Path(path), entry, self.shard_set, self._decoded, self._folder, self._verify
        )
        if len(self._open) > _OPEN_SHARDS:
            self._open.popitem(last=False)
        return opened

    def expect(self, number: int) -> None:
        """A shard that will soon be read."""
        if number not in self._open:
            entry = self.split.shards[number]
            self._folder.expect(entry.path, entry.bytes)

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
        breaks = np.flatnonzero((np.diff(shards) != 0) | (np.diff(rows) != 1)) + 1
        begins = np.concatenate([[0], breaks])
        counts = np.diff(np.concatenate([begins, [len(rows)]]))
        if len(begins) == 1:
            column = self.shard(int(shards[0])).column(name)
            return column_values(column, column.runs(rows[:1], counts))
        parts: list[Bytes] = [b""] * len(begins)
        for number, inside in _groups(shards[begins]):
            column = self.shard(number).column(name)
            # shuffled rows stand alone, and there are many: a shorter way
            singly = len(begins) == len(rows)
            runs = column.single(rows[inside]) if singly else column.runs(rows[begins[inside]], counts[inside])
            for at, run in zip(inside, runs, strict=True):
                parts[at] = run
        return column_values(column, parts)

    def filled(self, shards: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64[n], how many ids at the beginning of each row are text; the rest is padding."""
        out = np.full(len(rows), self.shard_set.row_tokens, np.int64)
        for number, inside in _groups(shards):
            if self.shard(number).full:
                continue
            out[inside] = self.shard(number).filled()[rows[inside]]
        return out

    def pieces(self, shards: NDArray[np.int64], rows: NDArray[np.int64]) -> list[NDArray[np.uint32]]:
        """Lengths of the document pieces of each row."""
        out: list[NDArray[np.uint32]] = []
        for number, row in zip(shards.tolist(), rows.tolist(), strict=True):
            lens, offsets = self.shard(number).pieces()
            out.append(lens[offsets[row] : offsets[row + 1]])
        return out


def _groups(shards: NDArray[np.int64]) -> ItemsView[int, list[int]]:
    """Each shard number, and the places where it stands."""
    places: dict[int, list[int]] = {}
    for place, number in enumerate(shards.tolist()):
        places.setdefault(number, []).append(place)
    return places.items()
