"""Exact search for similar documents: an inverted index over sets, no LSH and no sampling of shingles.

A few documents (the *indexed* ones) are laid out by element: all (element, document) pairs, sorted. Every other
document is streamed past: its elements are looked up and hits are counted by indexed document, which gives the
size of every intersection, and with the sizes of both sets the Jaccard similarity. Sets are sorted, so look-ups
move through the index in one direction.

The elements are shingle hashes (uint32) for similarity, band keys (uint64) for who meets whom.

Legend: N documents of a batch, S elements of all of them, D indexed documents, Q pairs found.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.dedup.shingle_sets import shingle_sets
from winnow.numeric.jit import kernel
from winnow.text.words import WordHashes

_ROOM = 1 << 18
"""Pairs that leave the kernel at a time, at least."""


class Sets(NamedTuple):
    """Sorted sets without repeats, one a document."""

    values: NDArray[Any]  # [S] uint32 or uint64
    offsets: NDArray[np.int64]  # [N + 1] set i is values[offsets[i] : offsets[i + 1]]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Elements of each set: int64[N]."""
        return np.diff(self.offsets)

    def of(self, number: int) -> NDArray[Any]:
        """One set."""
        return self.values[self.offsets[number] : self.offsets[number + 1]]


class Pairs(NamedTuple):
    """Pairs of an indexed document and a document of the batch."""

    indexed: NDArray[np.int64]  # [Q]
    row: NDArray[np.int64]  # [Q] rising
    common: NDArray[np.int64]  # [Q] elements that both have
    similarity: NDArray[np.float64]  # [Q] Jaccard

    def where(self, marked: NDArray[np.bool_]) -> "Pairs":
        """Some of them."""
        return Pairs(self.indexed[marked], self.row[marked], self.common[marked], self.similarity[marked])


@kernel
def _drop_repeats(values: Any, offsets: Any) -> Any:
    """Close the gaps that repeats leave in sorted runs, in place; returns the new offsets."""
    kept = np.zeros(len(offsets), np.int64)
    count = 0
    for row in range(len(offsets) - 1):
        for i in range(offsets[row], offsets[row + 1]):
            if i == offsets[row] or values[i] != values[i - 1]:
                values[count] = values[i]
                count += 1
        kept[row + 1] = count
    return kept


def sets_of(values: NDArray[Any], offsets: NDArray[np.int64]) -> Sets:
    """Sets from lists with repeats in any order; ``values`` is sorted in place.

    Args:
        values: uint32[S] or uint64[S].
        offsets: int64[N + 1], beginning with 0.
    """
    bounds = offsets.tolist()
    for start, end in pairwise(bounds):
        values[start:end].sort()  # numpy sorts short runs of integers with vector instructions
    kept = _drop_repeats(values, offsets)
    return Sets(values[: kept[-1]], kept)


def shingles_of(words: WordHashes, ngram: int) -> Sets:
    """The set of shingles of each document: the hashes that its signature is made of.

    Args:
        words: of N documents.
        ngram: words in a shingle; a shorter document has one shingle, one without words an empty set.
    """
    return Sets(*shingle_sets(words.hashes, words.offsets, ngram))


def join_sets(pieces: list[Sets]) -> Sets:
    """One after another."""
    if not pieces:
        return Sets(np.empty(0, np.uint32), np.zeros(1, np.int64))
    sizes = np.concatenate([piece.sizes for piece in pieces])
    return Sets(np.concatenate([piece.values for piece in pieces]), np.concatenate([[0], np.cumsum(sizes)]))


def take_sets(sets: Sets, rows: NDArray[np.int64]) -> Sets:
    """The sets of some rows, in their order."""
    offsets = np.concatenate([[0], np.cumsum(sets.sizes[rows])])
    taken = [sets.of(row) for row in rows.tolist()]
    return Sets(np.concatenate([*taken, sets.values[:0]]), offsets)


@kernel
def _count_common(
    keys: Any,
    owners: Any,
    directory: Any,
    shift: Any,
    indexed_sizes: Any,
    values: Any,
    offsets: Any,
    first_row: int,
    floor: float,
    counts: Any,
    hit_owners: Any,
    out: Any,
) -> tuple[int, int]:
    """Pairs of similarity >= floor (and above 0) of rows from ``first_row`` on, until ``out`` could overflow.

    Returns the first row not done and the number of pairs written. ``counts`` is all zero before and after.
    """
    written = 0
    for row in range(first_row, len(offsets) - 1):
        if len(out) - written < len(counts):
            return row, written
        num_hit = 0
        for i in range(offsets[row], offsets[row + 1]):
            value = values[i]
            bucket = np.int64(np.uint64(value) >> shift)
            for place in range(directory[bucket], directory[bucket + 1]):
                if keys[place] == value:
                    owner = owners[place]
                    if counts[owner] == 0:
                        hit_owners[num_hit] = owner
                        num_hit += 1
                    counts[owner] += 1
        size = offsets[row + 1] - offsets[row]
        for t in range(num_hit):
            owner = hit_owners[t]
            common = np.int64(counts[owner])
            counts[owner] = 0
            if common >= floor * (indexed_sizes[owner] + size - common):
                out[written, 0] = owner
                out[written, 1] = row
                out[written, 2] = common
                written += 1
    return len(offsets) - 1, written


class SetIndex:
    """Some documents' sets, laid out by element. Memory: 8 bytes an element of 32 bits, 12 one of 64, and 1 to 2 for
    the directory; twice that while it is built.
    """

    def __init__(self, sets: Sets) -> None:
        self.sizes = sets.sizes
        bits = sets.values.dtype.itemsize * 8
        if bits == 32:  # one number holds both, and numbers alone sort fastest
            packed = sets.values.astype(np.uint64)
            packed <<= np.uint64(32)
            packed |= np.repeat(np.arange(len(self.sizes), dtype=np.uint32), self.sizes)
            packed.sort()
            self._owners = packed.astype(np.uint32)
            packed >>= np.uint64(32)
            self._keys: NDArray[Any] = packed.astype(np.uint32)
            del packed
        else:
            order = np.argsort(sets.values, kind="stable")
            self._owners = np.repeat(np.arange(len(self.sizes), dtype=np.uint32), self.sizes)[order]
            self._keys = sets.values[order]
        directory_bits = max(4, len(self._keys).bit_length() - 3)
        self._shift = np.uint64(bits - directory_bits)
        lower_ends = np.arange(1 << directory_bits, dtype=np.uint64) << self._shift
        starts = np.searchsorted(self._keys, lower_ends.astype(self._keys.dtype))
        self._directory = np.append(starts, len(self._keys)).astype(np.int64)

    def search(self, sets: Sets, floor: float) -> Iterator[Pairs]:
        """All pairs of an indexed document and a document of ``sets`` with similarity >= ``floor`` that have an
        element in common, ordered by row. Every pair is found. Comes in pieces, so that memory stays bounded.

        Raises:
            ValueError: the elements are of another type than the indexed ones.
        """
        if sets.values.dtype != self._keys.dtype:
            raise ValueError(f"the index holds {self._keys.dtype}, the sets {sets.values.dtype}; make both alike")
        counts = np.zeros(len(self.sizes), np.int32)
        hit_owners = np.empty(len(self.sizes), np.int64)
        out = np.empty((max(_ROOM, len(self.sizes)), 3), np.int64)
        row, rows = 0, len(sets.offsets) - 1
        while row < rows:
            row, written = _count_common(
                self._keys, self._owners, self._directory, self._shift, self.sizes, sets.values, sets.offsets, row,
                floor, counts, hit_owners, out,
            )  # fmt: skip
            indexed, found, common = out[:written].T.copy()
            union = self.sizes[indexed] + sets.sizes[found] - common
            yield Pairs(indexed, found, common, common / union)
