"""Shingle sets: the sorted distinct shingles of every document, whose overlap is the true Jaccard similarity.

A shingle is known by its 32-bit hash, and two different shingles with the same hash count as one. Among n shingles
of a pair of documents that happens n^2 / 2^33 times on average, and each moves the similarity by about 1 / n: one
pair in 8,600 of 1,000 shingles is off by 0.001, one in 38 of 15,000 shingles by 0.00007; a million shingles are off by
0.0001, ten millions by 0.001. The chance that it carries a pair over the threshold is the chance that the pair lies
that close to it.

Legend: N documents, W words, S shingles.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.dedup.shingles import shingle_hashes
from winnow.numeric.jit import kernel
from winnow.numeric.radix import sort_by_bytes

_FEW = 48
"""Up to so many shingles are put in order one by one; more are sorted by their bytes."""


def shingle_sets(
    word_hashes: NDArray[np.uint64], word_offsets: NDArray[np.int64], ngram: int
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The set of shingles of each document.

    Args:
        word_hashes: uint64[W], one strong hash a word.
        word_offsets: int64[N + 1]; document i owns words ``word_offsets[i]`` to ``word_offsets[i + 1]``.
        ngram: words in a shingle. Shorter documents hash what they have, as one shingle.

    Returns:
        uint32[S], rising and distinct inside each document; and int64[N + 1], where each document's begin.

    Raises:
        ValueError: ``ngram`` is below 1.
    """
    shingles, starts = shingle_hashes(word_hashes, word_offsets, ngram)
    longest = int(np.diff(starts).max(initial=0))
    distinct = _sort_distinct(shingles, starts, np.empty(longest, np.uint32))
    return shingles[: distinct[-1]].copy(), distinct


@kernel
def _sort_distinct(
    shingles: NDArray[np.uint32], starts: NDArray[np.int64], room: NDArray[np.uint32]
) -> NDArray[np.int64]:
    """Sort the shingles of each document and drop repeats, in place, all sets one behind the other.

    A document fits a core's caches, which a sort of many documents together does not.

    Args:
        shingles: uint32[W], changed.
        starts: int64[N + 1], where each document's begin.
        room: uint32, as long as the longest document.

    Returns:
        int64[N + 1], where each document's set begins.
    """
    found = np.zeros(len(starts), np.int64)
    counts = np.empty((4, 256), np.int64)
    kept = 0
    for document in range(len(starts) - 1):
        values = shingles[starts[document] : starts[document + 1]]
        if len(values) > _FEW:
            sort_by_bytes(values, room, counts)
        else:
            for end in range(1, len(values)):
                value, at = values[end], end
                while at > 0 and values[at - 1] > value:
                    values[at] = values[at - 1]
                    at -= 1
                values[at] = value
        for i in range(len(values)):
            if i == 0 or values[i] != shingles[kept - 1]:
                shingles[kept] = values[i]  # never beyond what has been read
                kept += 1
        found[document + 1] = kept
    return found
