"""MinHash signatures, equal to the bit to ``datasketch.MinHash(num_perm, seed, scheme="affine32")``.

Permutation k maps a mixed 32-bit shingle h to ``a[k] * h + b[k] mod 2^32`` (a odd, so a bijection); entry k
of a signature is the least value over the document's shingles. Two signatures agree in entry k with a
probability equal to the Jaccard similarity of the two shingle sets.

Sources: A. Broder, "On the resemblance and containment of documents" (1997); the permutations are those of
datasketch 2.0 (``affine32``: MurmurHash3's 32-bit finaliser, then an affine map).

Legend: N documents, W words, P permutations.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.dedup.minhash_config import MinHashConfig
from winnow.dedup.shingles import BLOCK_SHINGLES, hash_block
from winnow.numeric.jit import kernel

EMPTY = np.uint32(0xFFFFFFFF)
"""Every entry of the signature of a document without shingles, as in datasketch."""

_MURMUR_1 = np.uint32(0x85EBCA6B)
_MURMUR_2 = np.uint32(0xC2B2AE35)
_TOGETHER = 8  # shingles folded per pass over the permutations: 8 broadcasts fit the registers of AVX2 and AVX-512


def permutations(num_perm: int, seed: int) -> NDArray[np.uint32]:
    """Parameters of the permutations: uint32[2, P], row 0 the odd factors a, row 1 the addends b.

    The same draws as datasketch 2.0, from numpy's frozen legacy generator. Written out here because importing
    datasketch brings scipy with it, which costs every worker start.
    """
    draws = np.random.RandomState(seed)
    factors = draws.randint(0, 1 << 31, num_perm, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    addends = draws.randint(0, 1 << 32, num_perm, dtype=np.uint32)
    return np.stack([factors, addends])


@kernel
def _premix(shingles: NDArray[np.uint32], count: int) -> None:
    """Apply MurmurHash3's 32-bit finaliser in place."""
    for i in range(count):
        h = shingles[i]
        h = np.uint32((h ^ (h >> np.uint32(16))) * _MURMUR_1)
        h = np.uint32((h ^ (h >> np.uint32(13))) * _MURMUR_2)
        shingles[i] = h ^ (h >> np.uint32(16))


@kernel
def _fold(
    factors: NDArray[np.uint32],
    addends: NDArray[np.uint32],
    least: NDArray[np.uint32],
    mixed: NDArray[np.uint32],
    count: int,
) -> None:
    """Lower ``least`` uint32[P] by the permuted values of ``mixed[:count]``; count is a multiple of 8.

    The inner loop runs over permutations: it becomes multiply-add-min on whole vectors, with eight shingles
    in registers for each load of the parameters, and needs no reduction across lanes.
    """
    for s in range(0, count, _TOGETHER):
        h0, h1, h2, h3 = mixed[s], mixed[s + 1], mixed[s + 2], mixed[s + 3]
        h4, h5, h6, h7 = mixed[s + 4], mixed[s + 5], mixed[s + 6], mixed[s + 7]
        for p in range(len(least)):
            a, b = factors[p], addends[p]
            m = min(least[p], np.uint32(a * h0 + b))
            m = min(m, np.uint32(a * h1 + b))
            m = min(m, np.uint32(a * h2 + b))
            m = min(m, np.uint32(a * h3 + b))
            m = min(m, np.uint32(a * h4 + b))
            m = min(m, np.uint32(a * h5 + b))
            m = min(m, np.uint32(a * h6 + b))
            least[p] = min(m, np.uint32(a * h7 + b))


@kernel
def _sign_documents(
    word_hashes: NDArray[np.uint64],
    word_offsets: NDArray[np.int64],
    ngram: int,
    factors: NDArray[np.uint32],
    addends: NDArray[np.uint32],
    out: NDArray[np.uint32],
) -> None:
    sums = np.empty(BLOCK_SHINGLES, np.uint64)
    mixed = np.empty(BLOCK_SHINGLES, np.uint32)
    for doc in range(len(word_offsets) - 1):
        least = out[doc]
        least[:] = EMPTY
        first = word_offsets[doc]
        num_words = word_offsets[doc + 1] - first
        if num_words == 0:
            continue
        width = min(ngram, num_words)
        num_shingles = num_words - width + 1
        for block in range(0, num_shingles, BLOCK_SHINGLES):
            count = min(BLOCK_SHINGLES, num_shingles - block)
            hash_block(word_hashes, first + block, width, count, sums, mixed)
            # A repeated shingle cannot change a minimum: fill up to whole groups of eight with the last one.
            padded = (count + _TOGETHER - 1) // _TOGETHER * _TOGETHER
            for i in range(count, padded):
                mixed[i] = mixed[count - 1]
            _premix(mixed, padded)
            _fold(factors, addends, least, mixed, padded)


def signatures(
    word_hashes: NDArray[np.uint64], word_offsets: NDArray[np.int64], config: MinHashConfig
) -> NDArray[np.uint32]:
    """Sign documents, without ever storing their shingles.

    Args:
        word_hashes: uint64[W], one strong hash a word.
        word_offsets: int64[N + 1]; document i owns words ``word_offsets[i]`` to ``word_offsets[i + 1]``.
        config: num_perm, ngram and seed are used.

    Returns:
        uint32[N, num_perm], C order. A document without words has ``EMPTY`` in every entry: ask
        `has_shingles`. Row i depends on document i alone, so batches may be cut anywhere.
    """
    factors, addends = permutations(config.num_perm, config.seed)
    out = np.empty((len(word_offsets) - 1, config.num_perm), np.uint32)
    _sign_documents(word_hashes, word_offsets, config.ngram, factors, addends, out)
    return out


@kernel
def has_shingles(entries: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which signatures uint32[N, P] come from a document with at least one shingle: bool[N].

    A real document would have to reach the greatest value in all P permutations to be mistaken for an empty
    one.
    """
    found = np.zeros(len(entries), np.bool_)
    for doc in range(len(entries)):
        for p in range(entries.shape[1]):
            if entries[doc, p] != EMPTY:
                found[doc] = True
                break
    return found
