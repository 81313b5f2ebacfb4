"""Runs of 13 words: hashed, told apart, and looked up.

Legend: N documents, W words, G n-grams.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.dedup.shingles import shingle_hashes
from winnow.numeric.jit import kernel
from winnow.text.words import WordHashes

NGRAM = 13
"""Words in the n-grams of contamination checks, as GPT-3 used them (Brown et al., 2020, appendix C)."""
_SECOND = np.uint64(0xD6E8FEB86659FD93)


class Ngrams(NamedTuple):
    """Different n-grams of some documents."""

    values: NDArray[np.uint64]  # [G] rising, each once
    place: NDArray[np.int64]  # for each document's each n-gram, its place in values
    owner: NDArray[np.int64]  # and the document


def hash_ngrams(words: WordHashes, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """64-bit hashes of the runs of `NGRAM` words of some documents with at least so many: uint64[G].

    Two 32-bit hashes side by side, as 32 bits alone would make one run in a hundred of a large corpus look known.
    """
    long = rows[np.diff(words.offsets)[rows] >= NGRAM]
    sizes = words.offsets[long + 1] - words.offsets[long]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    if len(long) == len(words.offsets) - 1:
        hashes = words.hashes
    else:
        hashes = words.hashes[np.arange(offsets[-1]) + np.repeat(words.offsets[long] - offsets[:-1], sizes)]
    high, _ = shingle_hashes(hashes, offsets, NGRAM)
    low, _ = shingle_hashes(hashes * _SECOND, offsets, NGRAM)
    return (high.astype(np.uint64) << np.uint64(32)) | low


@kernel
def _mark(keys: Any, directory: Any, shift: Any, values: Any, hit: Any) -> None:
    for value in values:
        bucket = np.int64(value >> shift)
        for place in range(directory[bucket], directory[bucket + 1]):
            if keys[place] == value:
                hit[place] = True


class Directory:
    """Quick look-up in sorted numbers."""

    def __init__(self, keys: NDArray[np.uint64]) -> None:
        bits = max(4, len(keys).bit_length())
        self._keys = keys
        self._shift = np.uint64(64 - bits)
        starts = np.searchsorted(keys, np.arange(1 << bits, dtype=np.uint64) << self._shift)
        self._starts = np.append(starts, len(keys)).astype(np.int64)

    def mark(self, values: NDArray[np.uint64], hit: NDArray[np.bool_]) -> None:
        """Set ``hit`` at the place of every key that is among ``values``."""
        _mark(self._keys, self._starts, self._shift, values, hit)
