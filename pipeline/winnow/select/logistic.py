"""Logistic regression with an L2 penalty, to the last digit the same on any number of threads.

Minimises ``sum_i s_i ln(1 + exp(-z_i y_i)) + l2 / 2 |w|^2`` with ``z = X w + b`` and y in {-1, 1}: scikit-learn's
objective with C = 1 / l2. The weights s make both classes count the same (``class_weight="balanced"``); the bias is
not penalised.

Newton's method, each step solved by conjugate gradients, with halving. All sums run in a fixed order in one thread (no
BLAS), because a library that divides sums among threads rounds them otherwise on another machine.
Source: C.-J. Lin, R. Weng and S. Keerthi, "Trust region Newton method for large-scale logistic regression" (2008).

Legend: N examples, D dimensions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_ROUNDS = 100
TOLERANCE = 1e-9
"""Largest entry of the gradient at the end, of that at the start."""


@dataclass(frozen=True)
class Line:
    """Weights float64[D], bias, and whether the gradient came down to the tolerance."""

    weights: NDArray[np.float64]
    bias: float
    converged: bool


def margins(vectors: NDArray[np.floating], weights: NDArray[np.float64], bias: float) -> NDArray[np.float64]:
    """float64[N]: ``vectors @ weights + bias``, each row summed in the same order wherever it stands."""
    sums: NDArray[np.float64] = (np.asarray(vectors, np.float64) * weights).sum(axis=1)
    return sums + bias


def probability(margin: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[N]: 1 / (1 + exp(-margin)), without overflow."""
    small = np.exp(-np.abs(margin))
    share: NDArray[np.float64] = np.where(margin >= 0, 1.0, small) / (1.0 + small)
    return share


def fit_line(vectors: NDArray[np.floating], positive: NDArray[np.bool_], l2: float) -> Line:
    """Fit to examples of both classes.

    Args:
        vectors: float[N, D], finite.
        positive: bool[N], with at least one of each.
        l2: strength of the penalty, above 0.

    Raises:
        ValueError: one class is missing.
    """
    counts = np.array([(~positive).sum(), positive.sum()], np.float64)
    if counts.min() == 0:
        raise ValueError("examples of both classes are needed")
    x = np.column_stack([np.asarray(vectors, np.float64), np.ones(len(vectors))])
    y = np.where(positive, 1.0, -1.0)
    s = (len(x) / (2.0 * counts))[positive.astype(np.int64)]
    penalty = np.full(x.shape[1], float(l2))
    penalty[-1] = 0.0
    line = np.zeros(x.shape[1])
    first, converged = 0.0, False
    for _ in range(MOST_ROUNDS):
        margin = np.einsum("nd,d->n", x, line) * y
        wrong = probability(-margin)
        gradient = np.einsum("nd,n->d", x, -s * wrong * y) + penalty * line
        steepest = float(np.abs(gradient).max())
        first = max(first, steepest)
        converged = steepest <= TOLERANCE * first
        if converged:
            break
        step = _solve(x, s * wrong * (1.0 - wrong), penalty, -gradient)
        line = _descend(x, y, s, penalty, line, step, gradient)
    return Line(line[:-1], float(line[-1]), converged)


def _loss(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    s: NDArray[np.float64],
    penalty: NDArray[np.float64],
    line: NDArray[np.float64],
) -> float:
    margin = np.einsum("nd,d->n", x, line) * y
    return float((s * np.logaddexp(0.0, -margin)).sum() + (penalty * line * line).sum() / 2)


def _descend(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    s: NDArray[np.float64],
    penalty: NDArray[np.float64],
    line: NDArray[np.float64],
    step: NDArray[np.float64],
    gradient: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The step, halved until the loss comes down."""
    before, slope, share = _loss(x, y, s, penalty, line), float((step * gradient).sum()), 1.0
    for _ in range(40):
        after = line + share * step
        if _loss(x, y, s, penalty, after) <= before + 1e-4 * share * slope + 1e-12 * abs(before):
            return after
        share /= 2
    return line


def _solve(
    x: NDArray[np.float64], curvature: NDArray[np.float64], penalty: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Newton's step: conjugate gradients on ``(X' diag(curvature) X + penalty) step = right``."""
    step, rest = np.zeros_like(right), right.copy()
    direction, size = rest.copy(), float((rest * rest).sum())
    goal = size * 1e-12
    for _ in range(4 * len(right)):
        if size <= goal:
            break
        turned = np.einsum("nd,n->d", x, curvature * np.einsum("nd,d->n", x, direction)) + penalty * direction
        bend = float((direction * turned).sum())
        if bend <= 0:
            break
        share = size / bend
        step += share * direction
        rest -= share * turned
        before, size = size, float((rest * rest).sum())
        direction = rest + (size / before) * direction
    return step
