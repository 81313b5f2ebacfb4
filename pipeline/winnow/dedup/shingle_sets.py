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

_GROUP_SHINGLES = 1 << 20
"""Shingles sorted together, 8 bytes each. A document with more is sorted alone, in place."""


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
    documents = len(starts) - 1
    distinct = np.zeros(documents + 1, np.int64)
    kept = first = 0
    while first < documents:
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + _GROUP_SHINGLES, side="right")) - 1)
        group, lengths = _distinct(shingles[starts[first] : starts[last]], np.diff(starts[first : last + 1]))
        shingles[kept : kept + len(group)] = group  # never beyond what has been read
        distinct[first + 1 : last + 1] = lengths
        kept += len(group)
        first = last
    return shingles[:kept].copy(), np.cumsum(distinct)


def _distinct(shingles: NDArray[np.uint32], lengths: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Sorted distinct shingles of consecutive documents, and how many each has. Sorts a single document in place."""
    if len(lengths) == 1:
        shingles.sort()
        found = shingles[_first_of_run(shingles)]
        return found, np.array([len(found)])
    documents = np.repeat(np.arange(len(lengths), dtype=np.uint64), lengths)
    keys = (documents << np.uint64(32)) | shingles
    keys.sort()
    keys = keys[_first_of_run(keys)]
    return keys.astype(np.uint32), np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=len(lengths))


def _first_of_run(values: NDArray[np.unsignedinteger]) -> NDArray[np.bool_]:
    first = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return first
