"""Importance toward a target set (DSIR): documents drawn so that the sample's words are spread as the target's are.

Features of a text are its words and word pairs (``text/words.py``: case-folded), hashed into buckets. Of each bucket b
there is a share in the target, p(b), and one in the kept corpus, q(b). A document's importance is the sum of
``ln(p(b) / q(b))`` over all its features, the logarithm of how much likelier it is in the target than in the corpus
if words were drawn one by one. Documents are drawn without replacement in proportion to the weights
``exp(importance / temperature)``, by the largest of ``importance / temperature + Gumbel noise``.

Smoothing: q has one count added to every bucket; p has ``smoothing * buckets`` counts added, spread as q is. So
buckets that a small target happens not to hold get a small negative ratio and not an unbounded one, and a target
of few words says little.

Length: like the paper's tool, a document's importance is a *sum*. It grows with length, in both directions: a long
document of the target's kind comes before a short one, a long one of another kind after. ``length: mean`` divides by
the number of features; its values are of the order of 1, so it wants a temperature of about 0.1.

Source: S. M. Xie, S. Santurkar, T. Ma, P. Liang, "Data Selection for Language Models via Importance Resampling"
(NeurIPS 2023, arXiv 2302.03169) and its tool, github.com/p-lambda/dsir, which adds 1e-8 to the shares instead.

Legend: N documents, K buckets.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline.section import Section
from pipeline.select.examples import ExamplesConfig

TARGET = "select.importance.target"
"""The setting that names the target's files, and so the name of that set."""


class ImportanceConfig(Section):
    """Draw documents by how much likelier they are in a target set than in the corpus."""

    target: ExamplesConfig
    """Files of texts that the sample should be like: a path, a list of paths, or settings of reading."""
    buckets: int = Field(10_000, ge=16, le=1 << 24)
    """Hash buckets of words and word pairs."""
    smoothing: float = Field(1.0, gt=0)
    """Counts added to the target, a bucket on the average, spread as in the corpus."""
    length: Literal["sum", "mean"] = "sum"
    """`sum` over a document's features, as published: long documents have the largest weights and the smallest ones.
    `mean` looks at what kind of words they are alone."""
    temperature: float = Field(1.0, gt=0)
    """Weights are exp(importance / temperature): larger values draw more evenly, smaller ones take the best only."""

    @property
    def example_sets(self) -> dict[str, ExamplesConfig]:
        """Its example files, by the setting that names them."""
        return {TARGET: self.target}


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
    importance: NDArray[np.float64], features: NDArray[np.int64], length: str, temperature: float
) -> NDArray[np.float64]:
    """float64[N] logarithms of the weights in the draw.

    Args:
        importance: float64[N] sums of log ratios.
        features: int64[N] words and word pairs of each document; 0 has importance 0.
        length: ``sum`` or ``mean``.
        temperature: see :class:`ImportanceConfig`.
    """
    divisor = np.maximum(features, 1) if length == "mean" else 1.0
    weights: NDArray[np.float64] = importance / divisor / temperature
    return weights
