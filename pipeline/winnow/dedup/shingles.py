"""Shingles: a 32-bit hash of every run of ``ngram`` consecutive words of a document.

The mixing below is part of the data format: signatures kept by earlier runs are comparable with new ones only
while it stays as it is. For the words with hashes ``w[0] .. w[n-1]`` of one run, modulo 2^64::

    h = n
    for each w: h = h * 0x9E3779B97F4A7C15 + w
    h = (h ^ (h >> 32)) * 0xD6E8FEB86659FD93
    h = (h ^ (h >> 32)) * 0xD6E8FEB86659FD93
    shingle = h >> 32

The polynomial is a sum of word hashes times odd constants, so two runs that differ in one word always differ
in ``h``; the two rounds after it spread all 64 bits over the upper 32, which are kept.

Legend: N documents, W words, S shingles.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)

BLOCK_SHINGLES = 512
"""Shingles hashed at a time: the block, its sums and 256 permutations stay in the first-level cache."""


@kernel
def hash_block(
    word_hashes: NDArray[np.uint64],
    first_word: int,
    width: int,
    count: int,
    sums: NDArray[np.uint64],
    shingles: NDArray[np.uint32],
) -> None:
    """Hash ``count`` consecutive shingles of ``width`` words each.

    In: word_hashes uint64[W]; shingle i covers words ``first_word + i`` to ``first_word + i + width - 1``;
        sums uint64[>= count] is scratch.
    Out: shingles uint32[>= count], the first ``count`` entries.
    """
    # The loop over words stands outside, so that the compiler turns each inner loop into vector code.
    for i in range(count):
        sums[i] = np.uint64(width) * _STEP + word_hashes[first_word + i]
    for j in range(1, width):
        for i in range(count):
            sums[i] = sums[i] * _STEP + word_hashes[first_word + j + i]
    for i in range(count):
        h = sums[i]
        h = (h ^ (h >> _HALF)) * _MIX
        h = (h ^ (h >> _HALF)) * _MIX
        shingles[i] = np.uint32(h >> _HALF)


@kernel
def _hash_documents(
    word_hashes: NDArray[np.uint64],
    word_offsets: NDArray[np.int64],
    ngram: int,
    shingle_offsets: NDArray[np.int64],
    shingles: NDArray[np.uint32],
) -> None:
    sums = np.empty(BLOCK_SHINGLES, np.uint64)
    for doc in range(len(word_offsets) - 1):
        width = min(ngram, word_offsets[doc + 1] - word_offsets[doc])
        first, end = shingle_offsets[doc], shingle_offsets[doc + 1]
        for block in range(first, end, BLOCK_SHINGLES):
            count = min(BLOCK_SHINGLES, end - block)
            hash_block(word_hashes, word_offsets[doc] + block - first, width, count, sums, shingles[block:])


def shingle_counts(word_offsets: NDArray[np.int64], ngram: int) -> NDArray[np.int64]:
    """Shingles (with repeats) of each document: int64[N].

    A document of at least ``ngram`` words has words - ngram + 1; a shorter one has one, made of what it has;
    a document without words has none.

    Raises:
        ValueError: ``ngram`` is below 1.
    """
    if ngram < 1:
        raise ValueError(f"ngram ({ngram}) must be at least 1; 5 is usual")
    words = np.diff(word_offsets)
    counts: NDArray[np.int64] = np.where(words > 0, np.maximum(words - (ngram - 1), 1), 0)
    return counts


def shingle_hashes(
    word_hashes: NDArray[np.uint64], word_offsets: NDArray[np.int64], ngram: int
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Hash every run of ``ngram`` consecutive words; runs never cross documents.

    Args:
        word_hashes: uint64[W], one strong hash a word.
        word_offsets: int64[N + 1]; document i owns words ``word_offsets[i]`` to ``word_offsets[i + 1]``.
        ngram: words in a shingle. Shorter documents hash what they have, as one shingle.

    Returns:
        uint32[S] in text order, repeats included, and int64[N + 1], where each document's shingles start.

    Raises:
        ValueError: ``ngram`` is below 1.
    """
    offsets = np.zeros(len(word_offsets), np.int64)
    np.cumsum(shingle_counts(word_offsets, ngram), out=offsets[1:])
    shingles = np.empty(offsets[-1], np.uint32)
    _hash_documents(word_hashes, word_offsets, ngram, offsets, shingles)
    return shingles, offsets
