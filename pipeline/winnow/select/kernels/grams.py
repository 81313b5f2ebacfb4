"""Hashed words and word pairs: the features of importance resampling (DSIR).

Source: S. M. Xie and others, "Data selection for language models via importance resampling" (2302.03169).

Legend: N documents, W words.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel


@kernel
def hashed_grams(words, offsets, buckets, counts):  # type: ignore[no-untyped-def]
    """Add every document's words and word pairs to ``counts`` int64[buckets]: one histogram for all of them."""
    step = np.uint64(0x9E3779B97F4A7C15)
    for document in range(len(offsets) - 1):
        for at in range(offsets[document], offsets[document + 1]):
            counts[np.int64(words[at] % buckets)] += 1
            if at + 1 < offsets[document + 1]:
                pair = (words[at] * step) ^ (words[at + 1] + (words[at] >> np.uint64(29)))
                counts[np.int64(pair % buckets)] += 1


@kernel
def weigh_grams(words, offsets, log_ratio, out):  # type: ignore[no-untyped-def]
    """Sum of ``log_ratio`` float64[buckets] over every document's words and word pairs, into ``out`` float64[N]."""
    step = np.uint64(0x9E3779B97F4A7C15)
    buckets = np.uint64(len(log_ratio))
    for document in range(len(offsets) - 1):
        weight = 0.0
        for at in range(offsets[document], offsets[document + 1]):
            weight += log_ratio[np.int64(words[at] % buckets)]
            if at + 1 < offsets[document + 1]:
                pair = (words[at] * step) ^ (words[at + 1] + (words[at] >> np.uint64(29)))
                weight += log_ratio[np.int64(pair % buckets)]
        out[document] = weight


def gram_counts(words: NDArray[np.uint64], offsets: NDArray[np.int64], buckets: int) -> NDArray[np.int64]:
    """Histogram int64[buckets] of the hashed words and word pairs of all documents together."""
    counts = np.zeros(buckets, np.int64)
    hashed_grams(words, offsets, np.uint64(buckets), counts)
    return counts


def gram_weights(
    words: NDArray[np.uint64], offsets: NDArray[np.int64], log_ratio: NDArray[np.float64]
) -> NDArray[np.float64]:
    """float64[N]: each document's sum of ``log_ratio`` over its hashed words and word pairs."""
    out = np.zeros(len(offsets) - 1, np.float64)
    weigh_grams(words, offsets, log_ratio, out)
    return out
