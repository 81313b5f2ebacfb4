"""Shares and their intervals against scipy's."""

import pytest

from winnow.audit.intervals import share_of


@pytest.mark.parametrize(("hits", "of"), [(0, 1), (1, 1), (0, 40), (40, 40), (1, 40), (39, 40), (17, 40), (500, 1000)])
def test_the_interval_is_wilsons(hits, of):
    stats = pytest.importorskip("scipy.stats", reason="needs scipy")
    found = share_of(hits, of)
    expected = stats.binomtest(hits, of).proportion_ci(0.95, method="wilson")
    assert (found.hits, found.of, found.share) == (hits, of, hits / of)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-4)


def test_a_share_of_nothing_is_unknown():
    found = share_of(0, 0)
    assert (found.share, found.low, found.high) == (None, 0.0, 1.0)
