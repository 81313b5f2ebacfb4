"""The bounds of verification against the binomial distribution that equal entries follow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from winnow.dedup.verification import verification

thresholds = st.floats(0.05, 1.0)
sizes = st.sampled_from([1, 16, 64, 100, 128, 256, 512, 1024])


@given(thresholds, sizes)
def test_estimate_is_the_share_of_equal_entries_at_the_threshold(threshold, num_perm):
    bounds = verification("estimate", threshold, num_perm)
    assert not bounds.reads_texts
    assert bounds.reject_below / num_perm >= threshold
    assert bounds.reject_below == 1 or (bounds.reject_below - 1) / num_perm < threshold


@given(thresholds, sizes)
def test_exact_never_takes_the_word_of_signatures(threshold, num_perm):
    bounds = verification("exact", threshold, num_perm)
    assert bounds.reads_texts and bounds.accept_from > num_perm
    # pairs that share no entry share no band: nobody asks for them
    rare = binom.cdf(bounds.reject_below - 1, num_perm, threshold) < 1e-3
    assert num_perm < 64 or bounds.reject_below == 1 or rare


@given(thresholds, sizes)
def test_signatures_are_wrong_about_few_pairs_at_the_threshold(threshold, num_perm):
    bounds = verification("signature", threshold, num_perm)
    assert bounds.reads_texts and 1 <= bounds.reject_below <= num_perm
    accepted = (
        binom.sf(bounds.accept_from - 1, num_perm, threshold) if threshold < 1 else bounds.accept_from <= num_perm
    )
    ruled_out = binom.cdf(bounds.reject_below - 1, num_perm, threshold) if bounds.reject_below > 1 else 0.0
    if num_perm >= 64:
        assert accepted < 1 / 100 and ruled_out < 1 / 50
    if num_perm >= 128 and 0.5 <= threshold <= 0.9:
        assert accepted < 1 / 500 and ruled_out < 1 / 240


def test_the_documented_bounds():
    """The figures of the docs: 256 permutations, threshold 0.8."""
    bounds = verification("signature", 0.8, 256)
    assert (bounds.reject_below, bounds.accept_from) == (186, 224)
    wrong = {similarity: 1 / binom.sf(223, 256, similarity) for similarity in (0.8, 0.78, 0.75)}
    assert wrong == {0.8: pytest.approx(925, rel=0.01), 0.78: pytest.approx(14_359, rel=0.01),
                     0.75: pytest.approx(1.79e6, rel=0.01)}  # fmt: skip
    assert 1 / binom.cdf(185, 256, 0.8) == pytest.approx(552, rel=0.01)
    assert 1 / binom.cdf(185, 256, 0.82) == pytest.approx(12_107, rel=0.01)
    assert verification("exact", 0.8, 256).reject_below == 173
    assert binom.cdf(172, 256, 0.8) == pytest.approx(1e-6, rel=0.1)


def test_the_similarity_that_counts():
    bounds = verification("signature", 0.8, 256)
    counts = bounds.similarity(np.array([185, 186, 223, 224, 256]), np.array([0.9, 0.7, 0.95, 0.5, 0.5]))
    np.testing.assert_array_equal(counts, [0, 0.7, 0.95, 224 / 256, 1])


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.5, float("nan")])
def test_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(ValueError, match="threshold"):
        verification("exact", threshold, 256)
