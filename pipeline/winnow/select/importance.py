"""Importance toward a target set (DSIR): documents drawn so that the sample's words are spread as the target's are.

Features of a text are its words and word pairs (``text/words.py``: case-folded), hashed into buckets. Of each bucket b
there is a share in the target, p(b), and one in the kept corpus, q(b). A document's importance is the sum of
``ln(p(b) / q(b))`` over all its features, the logarithm of how much likelier it is in the target than in the corpus
if words were drawn one by one. Documents are drawn without replacement in proportion to their weights, by the largest
of ``ln(weight) + Gumbel noise``.

Smoothing: q has one count added to every bucket; p has ``smoothing * buckets`` counts added, spread as q is. So
buckets that a small target happens not to hold get a small negative ratio and not an unbounded one, and a target
of few words says little.

Length: a sum grows with length, in both directions. The paper's texts are pieces of about one length; of whole
documents with the published weight, exp(importance), a sample holds hardly anything but long ones, since prose that is
a little likelier in the target than in the corpus is so a hundred thousand times in a book: toward film reviews it held
not one review (docs/select.md). So a document of more than ``max_features`` features counts as if it had that many of
its own kind; a shorter one by what it has.

Source: S. M. Xie, S. Santurkar, T. Ma, P. Liang, "Data Selection for Language Models via Importance Resampling"
(NeurIPS 2023, arXiv 2302.03169) and its tool, github.com/p-lambda/dsir, which adds 1e-8 to the shares instead.

Legend: N documents, K buckets.
"""

import numpy as np
from numpy.typing import NDArray


def log_ratio(target: NDArray[np.int64], corpus: NDArray[np.int64], smoothing: float) -> NDArray[np.float64]:
    """float64[K]: ln(p / q) of every bucket, smoothed as above.

    Args:
        target: int64[K] features of the target in each bucket.
        corpus: int64[K] features of the kept corpus.
        smoothing: counts added to the target, a bucket on the average.
    """
    q = (corpus + 1.0) / (corpus.sum() + len(corpus))
    added = smoothing * len(target)
    p = (target + added * q) / (target.sum() + added)
    ratio: NDArray[np.float64] = np.log(p) - np.log(q)
    return ratio


def divergence(target: NDArray[np.int64], corpus: NDArray[np.int64], smoothing: float) -> float:
    """How far the target's features are from the corpus', in nats a feature (Kullback-Leibler, smoothed)."""
    q = (corpus + 1.0) / (corpus.sum() + len(corpus))
    ratio = log_ratio(target, corpus, smoothing)
    return float((q * np.exp(ratio) * ratio).sum())


def importance_log_weights(
    importance: NDArray[np.float64], features: NDArray[np.int64], max_features: int | None
) -> NDArray[np.float64]:
    """float64[N] logarithms of the weights in the draw.

    Args:
        importance: float64[N] sums of log ratios.
        features: int64[N] words and word pairs of each document; 0 has importance 0.
        max_features: see :class:`ImportanceConfig`.
    """
    if max_features is None:
        return importance
    scaled: NDArray[np.float64] = importance * np.minimum(1.0, max_features / np.maximum(features, 1))
    return scaled
