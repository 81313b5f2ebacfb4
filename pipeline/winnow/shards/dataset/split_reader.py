"""The shards of a split by their numbers, whichever sets hold them.

Shards of several sets are numbered set after set.

Legend: K shards.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from winnow.shards.dataset.columns import DecodedGroups
from winnow.shards.dataset.provenance import row_sources
from winnow.shards.dataset.several_sets import SetSplit
from winnow.shards.dataset.shard_file import ShardFile, check_hash, open_listed

_OPEN_SHARDS = 64
"""Shards that stay mapped, beside one of each set."""
_MOST_OPEN = 512
"""Each mapped shard takes one of the process's open files, of which many systems allow 1,024."""


class SplitReader:
    """Opens the shards of one split.

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

    @cached_property
    def full(self) -> bool:
        """No row of the split has padding, by the manifest's count of tokens."""
        return all(shard.tokens == shard.rows * self.shard_set.row_tokens for shard in self.shards)

    def path(self, number: int) -> str:
        """Where a shard lies, for messages."""
        return f"{self.parts[self._part_of[number]].shard_set.location}/{self.shards[number].path}"
