"""A quality head: how much a document's vector is like those of the good examples, and not like the bad ones'.

Logistic regression on the run's own embeddings. A share of the examples is held out, drawn by a keyed hash of their
texts; the head never sees them, and how well it tells them apart is reported.

Legend: N documents or examples, D dimensions, T thresholds.
"""

from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from winnow.errors import ExamplesError
from winnow.select.logistic import fit_line, margins, probability
from winnow.select.vectors import BLOCK_ROWS, has_vector, unit_rows
from winnow.shards.order import keyed_hash

_TAG = 0x7175616C  # "qual": the draw of held-out examples shares no keys with other draws
FEWEST_EXAMPLES = 10
"""Of each class, after repeated and contradictory ones have gone; fewer say nothing."""
BINS = 100
"""Quality is counted in hundredths."""
GRID: NDArray[np.float64] = np.arange(1, BINS) / BINS
"""Thresholds that the curve can be read at."""
NEARLY_CERTAIN = 1e-12
"""Odds are limited so far from 0 and 1."""


@dataclass(frozen=True)
class Validation:
    """How the head judges held-out examples.

    ``precision`` and ``recall`` float64[T] at ``GRID``: of the held-out examples at or over a threshold, the share that
    is positive (NaN where there are none); of the positive ones, the share at or over it.
    """

    auc: float
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    positives: int
    negatives: int


@dataclass(frozen=True)
class Head:
    """Weights float64[D] and bias on unit vectors."""

    weights: NDArray[np.float64]
    bias: float

    def to_json(self) -> bytes:
        """JSON: ``{"weights": [...], "bias": x}``; numbers come back as they were, to the last bit."""
        return orjson.dumps({"weights": self.weights.tolist(), "bias": self.bias})

    @staticmethod
    def from_json(data: bytes) -> "Head":
        """Read :meth:`to_json`."""
        values = orjson.loads(data)
        return Head(np.array(values["weights"], np.float64), float(values["bias"]))

    def judge(self, stored: NDArray[np.float16]) -> NDArray[np.float64]:
        """Quality float64[N] in 0 to 1 of stored vectors [N, D]; NaN where there is no vector."""
        quality = np.full(len(stored), np.nan)
        for begin in range(0, len(stored), BLOCK_ROWS):
            block = stored[begin : begin + BLOCK_ROWS]
            scored = probability(margins(unit_rows(block), self.weights, self.bias))
            quality[begin : begin + len(block)] = np.where(has_vector(block), scored, np.nan)
        return quality


@dataclass(frozen=True)
class Usable:
    """Which examples train and which judge, bool[N] each; and how many of each kind went, by reason."""

    training: NDArray[np.bool_]
    validation: NDArray[np.bool_]
    left_aside: dict[str, int]


def usable_examples(
    positive: NDArray[np.bool_],
    text_hash: NDArray[np.uint64],
    with_vector: NDArray[np.bool_],
    validation_share: float,
    seed: int,
) -> Usable:
    """Divide examples; each text counts once, and one that stands in both classes in neither.

    Args:
        positive: bool[N].
        text_hash: uint64[N, 2] of their texts.
        with_vector: bool[N], False for texts without words, or whose vector is NaN.
        validation_share: of each class, rounded, at least one.
        seed: of the draw; it depends on texts alone, not on their order.

    Raises:
        ExamplesError: fewer than ``FEWEST_EXAMPLES`` of a class are left.
    """
    _, first, group = np.unique(text_hash, axis=0, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    both = np.zeros(len(first), np.bool_)
    both[np.intersect1d(group[positive], group[~positive])] = True
    once = np.zeros(len(positive), np.bool_)
    once[first] = True
    usable = once & ~both[group] & with_vector
    left_aside = {
        "in_both": int(both[group].sum()),
        "repeated": int((~once & ~both[group]).sum()),
        "without_vector": int((once & ~both[group] & ~with_vector).sum()),
    }
    key = keyed_hash((seed, _TAG), text_hash)[:, 0]
    validation = np.zeros(len(positive), np.bool_)
    for name, members in (("positive", positive), ("negative", ~positive)):
        rows = np.flatnonzero(usable & members)
        if len(rows) < FEWEST_EXAMPLES:
            reasons = ", ".join(f"{number:,} {reason.replace('_', ' ')}" for reason, number in left_aside.items())
            raise ExamplesError(
                f"select.quality.{name}: {len(rows):,} usable examples of {int(members.sum()):,} read, and at least "
                f"{FEWEST_EXAMPLES} of each class are needed; left aside of both classes: {reasons}. Give more examples"
            )
        number = min(len(rows) - 1, max(1, round(len(rows) * validation_share)))
        validation[rows[np.argsort(key[rows], kind="stable")[:number]]] = True
    return Usable(usable & ~validation, validation, left_aside)


def fit_head(vectors: NDArray[np.float16], positive: NDArray[np.bool_], l2: float) -> tuple[Head, bool]:
    """Fit to stored vectors [N, D] of both classes; also tells whether the fit converged."""
    line = fit_line(unit_rows(vectors), positive, l2)
    return Head(line.weights, line.bias), line.converged


def validate(quality: NDArray[np.float64], positive: NDArray[np.bool_]) -> Validation:
    """Judge a head by quality float64[N] that it gave to held-out examples bool[N] of both classes."""
    good, bad = np.sort(quality[positive]), np.sort(quality[~positive])
    taken_good = len(good) - np.searchsorted(good, GRID, side="left")
    taken = taken_good + len(bad) - np.searchsorted(bad, GRID, side="left")
    precision = np.divide(taken_good, taken, out=np.full(len(GRID), np.nan), where=taken > 0)
    return Validation(area_under_curve(good, bad), precision, taken_good / len(good), len(good), len(bad))


def area_under_curve(good: NDArray[np.float64], bad: NDArray[np.float64]) -> float:
    """Chance that a good example is scored above a bad one, both drawn at random; equal ones count half."""
    ordered = np.sort(bad)
    below = np.searchsorted(ordered, good, side="left") + np.searchsorted(ordered, good, side="right")
    return float(below.sum() / (2 * len(good) * len(bad)))


def histogram(quality: NDArray[np.float64]) -> NDArray[np.int64]:
    """int64[BINS]: documents with a quality in each hundredth; those without one are left out."""
    return np.bincount(np.searchsorted(GRID, quality[~np.isnan(quality)], side="right"), minlength=BINS)


def share_kept(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64[T]: share of counted documents at or over each threshold of ``GRID``."""
    above = counts[::-1].cumsum()[::-1]
    return above[1:] / max(1, int(above[0]))


def quality_log_weights(quality: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """float64[N] logarithms of the weights in the draw; documents without a quality count as 0.5."""
    known = np.clip(np.where(np.isnan(quality), 0.5, quality), NEARLY_CERTAIN, 1 - NEARLY_CERTAIN)
    odds: NDArray[np.float64] = np.log(known) - np.log1p(-known)
    return odds / temperature
