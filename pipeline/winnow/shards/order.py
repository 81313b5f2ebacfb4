"""The global order: a keyed 128-bit hash of every (document, copy), and the split drawn by the same hash.

Sorting by independent uniform keys gives every permutation the same chance; a tie among N keys has a chance under
N^2 / 2^129. The key depends on the seed, the epoch, the document and the copy, and on nothing else: not on units,
workers or order of arrival.

Source: SipHash-2-4 with 128-bit output, Aumasson & Bernstein, "SipHash: a fast short-input PRF" (2012) and its
reference implementation's test vectors.

Legend: N rows, W words of 8 bytes in a message.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import inline_kernel, kernel

_SPLIT_TAG = 0x73706C6974  # "split": split draws never share keys with the order
_SAMPLE_TAG = 0x73616D706C65  # "sample": nor do fractions of a source weight


@inline_kernel
def _rotate(x, bits):  # type: ignore[no-untyped-def]
    return (x << np.uint64(bits)) | (x >> np.uint64(64 - bits))


@inline_kernel
def _round(v0, v1, v2, v3):  # type: ignore[no-untyped-def]
    v0 += v1
    v1 = _rotate(v1, 13) ^ v0
    v0 = _rotate(v0, 32)
    v2 += v3
    v3 = _rotate(v3, 16) ^ v2
    v0 += v3
    v3 = _rotate(v3, 21) ^ v0
    v2 += v1
    v1 = _rotate(v1, 17) ^ v2
    v2 = _rotate(v2, 32)
    return v0, v1, v2, v3


@kernel
def _siphash(key_low, key_high, messages, out):  # type: ignore[no-untyped-def]
    words = messages.shape[1]
    for n in range(messages.shape[0]):
        v0 = np.uint64(0x736F6D6570736575) ^ key_low
        v1 = np.uint64(0x646F72616E646F6D) ^ key_high ^ np.uint64(0xEE)
        v2 = np.uint64(0x6C7967656E657261) ^ key_low
        v3 = np.uint64(0x7465646279746573) ^ key_high
        for w in range(words + 1):
            m = messages[n, w] if w < words else np.uint64((words * 8) & 0xFF) << np.uint64(56)
            v3 ^= m
            v0, v1, v2, v3 = _round(v0, v1, v2, v3)
            v0, v1, v2, v3 = _round(v0, v1, v2, v3)
            v0 ^= m
        v2 ^= np.uint64(0xEE)
        for _ in range(4):
            v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        out[n, 0] = v0 ^ v1 ^ v2 ^ v3
        v1 ^= np.uint64(0xDD)
        for _ in range(4):
            v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        out[n, 1] = v0 ^ v1 ^ v2 ^ v3


def keyed_hash(key: tuple[int, int], messages: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SipHash-2-4-128 of messages uint64[N, W] (little-endian words) under ``key`` = (low, high) words.

    Returns:
        uint64[N, 2]: the first and second 8 bytes of the digest as little-endian words. Each is uniform.
    """
    out = np.empty((len(messages), 2), np.uint64)
    mask = (1 << 64) - 1
    # writeable, too: what Arrow gives out is not, and would be another type to compile for
    messages = np.require(messages, requirements=["C", "W"])
    _siphash(np.uint64(key[0] & mask), np.uint64(key[1] & mask), messages, out)
    return out


def order_keys(
    docs: NDArray[np.uint64],
    copies: NDArray[np.uint64],
    copies_of: NDArray[np.uint64],
    seed: int,
    epoch: int,
    first_copy: NDArray[np.uint64] | int = 0,
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Sort keys of (document, copy) rows.

    A document with k copies has copy c in the c-th of k equal slices of the order, at a uniform place within it, so
    that repeats never stand close by chance alone.

    Args:
        docs: uint64[N].
        copies: uint64[N], this row's copy number, from 0.
        copies_of: uint64[N], how many copies the document has, at least 1.
        seed: the run's seed.
        epoch: which pass over the data.
        first_copy: uint64[N], copies in phases before, so that phases have orders of their own.

    Returns:
        high uint64[N] and low uint64[N]; order is by (high, low).
    """
    digest = keyed_hash((seed, epoch), np.stack([docs, copies + np.asarray(first_copy, np.uint64)], axis=1))
    slice_width = np.uint64(0xFFFF_FFFF_FFFF_FFFF) // copies_of
    high = np.where(copies_of == 1, digest[:, 0], copies * slice_width + digest[:, 0] // copies_of)
    return high.astype(np.uint64), digest[:, 1]


def unit_interval(digest: NDArray[np.uint64]) -> NDArray[np.float64]:
    """float64[N] in [0, 1) from the top 53 bits of uint64[N]."""
    return (digest >> np.uint64(11)).astype(np.float64) * 2.0**-53


def split_keys(groups: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Where each group (candidate component) stands in the order that splits are cut from: uint64[N], uniform."""
    return keyed_hash((seed, _SPLIT_TAG), groups[:, None])[:, 0]


def draw_splits(groups: NDArray[np.uint64], shares: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Split of each document, drawn by its group (candidate component), so that near-duplicates stay together.

    Args:
        groups: uint64[N].
        shares: float64[K], the shares of splits 1 .. K; split 0 (train) takes the rest.
        seed: the run's seed.

    Returns:
        int64[N] in 0 .. K.
    """
    place = unit_interval(split_keys(groups, seed))
    bounds = np.cumsum(shares)
    split = np.searchsorted(bounds, place, side="right") + 1
    return np.where(split > len(shares), 0, split)


def draw_copies(docs: NDArray[np.uint64], weights: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """How often each document enters an epoch: the whole part of its source's weight, and one more by its hash.

    Monotone: under a larger weight no document has fewer copies.
    """
    whole = np.floor(weights)
    place = unit_interval(keyed_hash((seed, _SAMPLE_TAG), docs[:, None])[:, 0])
    return (whole + (place < weights - whole)).astype(np.int64)
