"""Whether one arm is better than another: means over seeds, their spread, and what the spread leaves open.

Two arms are compared by Welch's test: the difference of their means over its standard error, which is what "sigma" is
here, and an interval by Student's t with the degrees of freedom of Welch and Satterthwaite. As a table holds many
comparisons, intervals are made so wide that all of them together hold with 95 % (Bonferroni).

Sources: B. L. Welch, "The generalization of Student's problem when several different population variances are involved"
(1947); F. E. Satterthwaite, "An approximate distribution of estimates of variance components" (1946).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds."""

    values: tuple[float, ...]
    mean: float
    sigma: float | None
    """Standard deviation between seeds; None of one seed."""
    low: float | None
    """Interval of 95 % for the mean; None of one seed."""
    high: float | None


@dataclass(frozen=True)
class Comparison:
    """An arm against the baseline."""

    difference: float
    """Of the means, arm less baseline."""
    error: float | None
    """Its standard error; None where an arm has fewer than two seeds."""
    sigmas: float | None
    """Difference over its standard error, without sign; None where that is not known, inf of equal values."""
    low: float | None
    """Interval of the difference that holds with 95 % for all comparisons of the table together."""
    high: float | None
    verdict: str
    """For people."""
    seen: int
    """1 better, -1 worse, 0 no difference seen."""


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and spread of at least one value."""
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return Estimate(tuple(values), mean, None, None, None)
    sigma = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = _quantile(n - 1, 1) * sigma / math.sqrt(n)
    return Estimate(tuple(values), mean, sigma, mean - half, mean + half)


def compare(arm: Estimate, baseline: Estimate, *, comparisons: int, lower_is_better: bool) -> Comparison:
    """Compare two arms.

    Args:
        arm: one.
        baseline: the other.
        comparisons: of the table that this one stands in.
        lower_is_better: whether a smaller figure is the better one.
    """
    difference = arm.mean - baseline.mean
    if arm.sigma is None or baseline.sigma is None:
        return Comparison(difference, None, None, None, None, "no verdict: one seed tells nothing of the spread", 0)
    parts = [sigma**2 / n for sigma, n in ((arm.sigma, len(arm.values)), (baseline.sigma, len(baseline.values)))]
    error = math.sqrt(sum(parts))
    if error == 0.0:
        sigmas = 0.0 if difference == 0 else math.inf
        half = 0.0
    else:
        freedom = error**4 / (parts[0] ** 2 / (len(arm.values) - 1) + parts[1] ** 2 / (len(baseline.values) - 1))
        sigmas, half = abs(difference) / error, _quantile(freedom, comparisons) * error
    low, high = difference - half, difference + half
    if low <= 0 <= high:
        verdict, seen = f"no difference seen (under {half:.4f})", 0
    else:
        seen = 1 if (difference < 0) == lower_is_better else -1
        verdict = f"{'better' if seen > 0 else 'worse'} by {sigmas:.1f} sigma"
    return Comparison(difference, error, sigmas, low, high, verdict, seen)


def _quantile(freedom: float, comparisons: int) -> float:
    """Of Student's t, two-sided."""
    from scipy.stats import t  # noqa: PLC0415 - an extra

    return float(t.ppf(1 - (1 - CONFIDENCE) / 2 / comparisons, freedom))
