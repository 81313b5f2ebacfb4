"""A weight-free encoder: hashed word n-grams, projected to a few hundred dimensions by seeded random signs.

Every distinct n-gram adds ``1 + ln(occurrences)``, with a sign, to eight coordinates drawn by its hash: a sparse
Johnson-Lindenstrauss projection (D. Kane and J. Nelson, "Sparser Johnson-Lindenstrauss transforms", 2014), so cosines
of the sums estimate the cosines of the n-gram counts with a standard error of about 1 / sqrt(dimensions).

Legend: N documents, W words, D dimensions.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import inline_kernel, kernel

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
COORDINATES = 8
"""Coordinates that one n-gram touches."""


@inline_kernel
def _mix(h):  # type: ignore[no-untyped-def]
    h = (h ^ (h >> np.uint64(32))) * _MIX
    h = (h ^ (h >> np.uint64(32))) * _MIX
    return h ^ (h >> np.uint64(32))


@kernel
def _project(words, offsets, ngrams, max_words, seed, out):  # type: ignore[no-untyped-def]
    dimensions = np.uint64(out.shape[1])
    for document in range(len(offsets) - 1):
        begin = offsets[document]
        count = min(offsets[document + 1] - begin, max_words)
        features = np.empty(count * ngrams, np.uint64)
        used = 0
        for first in range(count):
            h = seed
            for place in range(min(ngrams, count - first)):
                h = _mix(h * _STEP + words[begin + first + place])
                features[used] = h
                used += 1
        features = np.sort(features[:used])
        at = 0
        while at < used:
            feature = features[at]
            run = at
            while run < used and features[run] == feature:
                run += 1
            weight = 1.0 + np.log(float(run - at))
            at = run
            for half in range(2):
                bits = _mix(feature + np.uint64(half + 1) * _STEP)
                for _ in range(COORDINATES // 2):
                    coordinate = ((bits & np.uint64(0x7FFF)) * dimensions) >> np.uint64(15)
                    positive = (bits >> np.uint64(15)) & np.uint64(1)
                    out[document, np.int64(coordinate)] += weight if positive == 1 else -weight
                    bits >>= np.uint64(16)


def project(
    words: NDArray[np.uint64], offsets: NDArray[np.int64], dimensions: int, ngrams: int, max_words: int, seed: int
) -> NDArray[np.float64]:
    """Sums of signed n-grams, not normalised.

    Args:
        words: uint64[W] word hashes.
        offsets: int64[N + 1] the words of document i are ``words[offsets[i] : offsets[i + 1]]``.
        dimensions: D, at most 32,768.
        ngrams: longest n-gram in words; all shorter ones count too.
        max_words: words of a document that count.
        seed: other seeds give other projections.

    Returns:
        float64[N, D]; zeros for a document without words.
    """
    out = np.zeros((len(offsets) - 1, dimensions), np.float64)
    _project(words, offsets, ngrams, max_words, np.uint64(seed), out)
    return out
