"""Comparisons against scipy's Welch test and intervals."""

import numpy as np
import pytest

stats = pytest.importorskip("scipy.stats", reason="scipy is not installed (extra `ablate`)")

from winnow.ablate.judge import compare, estimate


@pytest.mark.parametrize("sizes", [(4, 4), (2, 5), (8, 3)])
def test_it_is_welchs_test(sizes):
    rng = np.random.default_rng(sum(sizes))
    a, b = rng.normal(2.0, 0.01, sizes[0]), rng.normal(2.03, 0.03, sizes[1])
    expected = stats.ttest_ind(a, b, equal_var=False)
    interval = expected.confidence_interval(0.95)
    found = compare(estimate(a), estimate(b), comparisons=1, lower_is_better=True)
    assert found.difference == pytest.approx(a.mean() - b.mean())
    assert found.sigmas == pytest.approx(abs(expected.statistic))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert bool(found.seen) == (expected.pvalue < 0.05)
    wide = stats.ttest_ind(a, b, equal_var=False).confidence_interval(1 - 0.05 / 7)
    found = compare(estimate(a), estimate(b), comparisons=7, lower_is_better=True)
    assert (found.low, found.high) == pytest.approx((wide.low, wide.high))


def test_a_mean_has_the_interval_of_students_t():
    values = [1.0, 1.2, 0.9, 1.3]
    found = estimate(values)
    expected = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected) and found.sigma == pytest.approx(np.std(values, ddof=1))


def test_which_way_is_better_is_the_measures():
    low, high = estimate([1.0, 1.01, 0.99, 1.0]), estimate([2.0, 2.01, 1.99, 2.0])
    for lower_is_better, seen in ((True, 1), (False, -1)):
        found = compare(low, high, comparisons=3, lower_is_better=lower_is_better)
        assert found.seen == seen and found.verdict.startswith("better by" if seen > 0 else "worse by")
        assert found.verdict.endswith(" sigma")


def test_no_verdict_of_one_seed_and_none_where_nothing_differs():
    alone = compare(estimate([1.0]), estimate([2.0, 2.1]), comparisons=1, lower_is_better=True)
    assert alone.seen == 0 and "no verdict" in alone.verdict and alone.low is None
    same = compare(estimate([1.0, 1.1]), estimate([1.0, 1.1]), comparisons=1, lower_is_better=True)
    assert same.seen == 0 and same.verdict.startswith("no difference seen")
    exact = compare(estimate([1.0, 1.0]), estimate([2.0, 2.0]), comparisons=1, lower_is_better=True)
    assert exact.seen == 1 and exact.sigmas == float("inf")


def test_of_equal_arms_about_one_comparison_in_twenty_is_wrong():
    rng = np.random.default_rng(3)
    wrong = [
        compare(estimate(a), estimate(b), comparisons=1, lower_is_better=True).seen != 0
        for a, b in rng.normal(0, 1, (400, 2, 4))
    ]
    assert 0.01 < np.mean(wrong) < 0.08
