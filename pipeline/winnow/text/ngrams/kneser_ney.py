"""Training a model of n-grams: interpolated modified Kneser-Ney, over sentences that are numbers.

Source: S. Chen, J. Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling", 1998; how pruning,
``<s>`` and ``<unk>`` are counted follows K. Heafield et al., "Scalable Modified Kneser-Ney Language Model Estimation",
ACL 2013 (lmplz).

Legend: P places of all sentences with their ends, V words, G n-grams of an order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNKNOWN, BEGIN, END, FIRST_WORD = 0, 1, 2, 3
"""Numbers of ``<unk>``, ``<s>`` and ``</s>``; and of the first word."""
_WITHOUT_COUNTS = np.array([0.0, 0.5, 1.0, 1.5])
"""Discounts where counts tell none, of small or odd texts: those that lmplz takes then."""
_BEGIN_LOG10 = -99.0
"""In place of the probability of ``<s>``, which is never asked for."""


@dataclass(frozen=True)
class Grams:
    """The n-grams of an order that are kept."""

    words: NDArray[np.int64]
    """int64[G, n], numbers."""
    log10: NDArray[np.float64]
    """float64[G], logarithm of the probability of the last word behind the others."""
    backoff: NDArray[np.float64]
    """float64[G], logarithm of the backoff weight."""


@dataclass(frozen=True)
class _Counted:
    """All n-grams of an order."""

    context: NDArray[np.int64]
    """int64[G], the n-gram of the order below without the last word; without the first one stands in ``suffix``."""
    suffix: NDArray[np.int64]
    words: NDArray[np.int64]
    """int64[G, n]."""
    count: NDArray[np.int64]


def with_borders(words: NDArray[np.int64], begins: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Numbers of tokens int64[T], of which some begin a sentence bool[T], with ``<s>`` and ``</s>`` around each
    sentence: int64[P]."""
    number = np.cumsum(begins)
    out = np.empty(len(words) + 2 * (int(number[-1]) if len(words) else 0), np.int64)
    place = np.arange(len(words)) + 2 * number - 1
    out[place] = words
    out[place[begins] - 1] = BEGIN
    out[place[np.append(begins[1:], True)] + 1] = END
    return out


def estimate(sentences: NDArray[np.int64], size: int, min_counts: Sequence[int]) -> list[Grams]:
    """A model of as many orders as there are ``min_counts``.

    Args:
        sentences: int64[P], of :func:`with_borders`; at least one.
        size: V, with the three that are no words.
        min_counts: by order, from one on and not falling: n-grams that are rarer are left out, and what they would
            have had goes to the backoff. That of single words counts for nothing: all of them are there.

    Returns:
        By order; sorted by their numbers.
    """
    counted = _count(sentences, size, len(min_counts))
    adjusted = [_adjusted(counted, order) for order in range(len(counted))]
    lower = _single_words(adjusted[0])
    found: list[Grams] = []
    kept = np.ones(size, np.bool_)
    for order in range(1, len(counted) + 1):
        weight: NDArray[np.float64] = np.ones(len(counted[order - 1].count))
        above, above_kept = lower, np.ones(0, np.bool_)
        if order < len(counted):
            grams, counts = counted[order], adjusted[order]
            above_kept = grams.count >= min_counts[order]
            total = np.bincount(grams.context, counts, len(weight))
            share = (counts - _discount(counts)) / total[grams.context]
            weight = 1.0 - np.bincount(grams.context, np.where(above_kept, share, 0.0), len(weight)).astype(np.float64)
            above = share + weight[grams.context] * lower[grams.suffix]
        with np.errstate(divide="ignore"):
            log10 = np.log10(lower[kept])
        words = counted[order - 1].words[kept]
        if order == 1:
            log10[BEGIN] = _BEGIN_LOG10
        found.append(Grams(words, log10, np.log10(np.maximum(weight[kept], np.finfo(np.float64).tiny))))
        lower, kept = above, above_kept
    return found


def _count(sentences: NDArray[np.int64], size: int, orders: int) -> list[_Counted]:
    """N-grams that lie within a sentence, by order."""
    number = np.cumsum(sentences == BEGIN)
    every = np.arange(size)
    counted = [_Counted(every, every, every[:, None], np.bincount(sentences, minlength=size))]
    at = sentences
    for order in range(2, orders + 1):
        places = np.flatnonzero(number[order - 1 :] == number[: len(number) - order + 1]) + order - 1
        keys = at[places - 1] * size + sentences[places]
        unique, first, inverse, count = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        context, word = unique // size, unique % size
        words = np.column_stack([counted[-1].words[context], word])
        counted.append(_Counted(context, at[places[first]], words, count))
        at = np.full(len(sentences), -1, np.int64)
        at[places] = inverse
    return counted


def _adjusted(counted: list[_Counted], order: int) -> NDArray[np.float64]:
    """How often n-grams occurred, those of the highest order and behind ``<s>``; the others: behind how many different
    words. ``<s>`` itself is never asked for."""
    here = counted[order]
    counts = here.count.astype(np.float64)
    if order + 1 < len(counted):
        different = np.bincount(counted[order + 1].suffix, minlength=len(counts)).astype(np.float64)
        counts = np.where(here.words[:, 0] == BEGIN, counts, different)
    if order == 0:
        counts[BEGIN] = 0
    return counts


def _single_words(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of words, float64[V]; what is discounted goes to all alike, ``<unk>`` as well."""
    discount = _discount(counts)
    shares: NDArray[np.float64] = (counts - discount + discount.sum() / (len(counts) - 1)) / counts.sum()
    return shares


def _discount(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is taken from each count."""
    one, two, three, four = (float((counts == n).sum()) for n in range(1, 5))
    by_count = _WITHOUT_COUNTS
    if min(one, two, three, four) > 0:
        share = one / (one + 2 * two)
        found = np.array([0.0, 1 - 2 * share * two / one, 2 - 3 * share * three / two, 3 - 4 * share * four / three])
        if ((found >= 0) & (found <= np.arange(4))).all():
            by_count = found
    taken: NDArray[np.float64] = by_count[np.minimum(counts, 3).astype(np.int64)]
    return taken
