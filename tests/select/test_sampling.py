"""The sample: exact to one document, monotone, shares, balance and importance as promised."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.whole_sample import draw_sample
from winnow.select.step_configs import SampleConfig


def corpus(count: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    docs = rng.choice(1 << 40, count, replace=False).astype(np.uint64)
    tokens = rng.integers(1, 500, count).astype(np.int64)
    return docs, tokens, rng.integers(0, 3, count), rng.integers(-1, 9, count)


def draw(parts, shares=None, log_weight=None, **settings_):
    named = None if shares is None else {str(n): share for n, share in enumerate(shares)}
    config = SampleConfig(shares=named, **settings_)
    return draw_sample(*parts, log_weight, config, None if shares is None else np.array(shares))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 400),
    st.integers(1, 120_000),
    st.sampled_from([None, (1.0, 1.0, 1.0), (5.0, 1.0, 0.1)]),
    st.sampled_from([None, 0.0, 0.5, 1.0]),
)
def test_exact_to_one_document_and_monotone(count, budget, shares, temperature):
    parts = corpus(count, count)
    small = draw(parts, shares, target_tokens=budget, cluster_temperature=temperature)
    tokens = parts[1]
    filled = tokens[small.taken].sum()
    assert filled <= budget
    if not small.taken.all():
        first_out = np.flatnonzero(~small.taken)
        # the next document in the order is the one of lowest level (ties by key): it would not have fitted
        lowest = first_out[small.level[first_out] == small.level[first_out].min()]
        assert filled + tokens[lowest].max() > budget
        assert small.level[small.taken].max(initial=-1.0) <= small.water
    large = draw(parts, shares, target_tokens=budget + 5000, cluster_temperature=temperature)
    assert not (small.taken & ~large.taken).any()


def test_does_not_depend_on_the_order_of_documents():
    parts = corpus(500)
    one = draw(parts, (1.0, 2.0, 3.0), target_tokens=40_000, cluster_temperature=0.5)
    order = np.random.default_rng(5).permutation(500)
    other = draw(tuple(part[order] for part in parts), (1.0, 2.0, 3.0), target_tokens=40_000, cluster_temperature=0.5)
    assert np.array_equal(one.taken[order], other.taken)
    third = draw(parts, (1.0, 2.0, 3.0), target_tokens=40_000, cluster_temperature=0.5, seed=1)
    assert not np.array_equal(one.taken, third.taken)


def test_shares_are_kept_and_a_short_source_leaves_the_rest():
    count = 30_000
    docs = np.arange(count, dtype=np.uint64)
    tokens = np.full(count, 10, np.int64)
    source = np.repeat([0, 1, 2], [20_000, 9_000, 1_000])
    drawn = draw((docs, tokens, source, np.zeros(count, int)), (1.0, 1.0, 2.0), target_tokens=100_000)
    taken = np.bincount(source[drawn.taken], minlength=3) * 10
    assert taken[2] == 10_000  # all it has, of a share of 50,000
    assert abs(taken[0] - 45_000) <= 10
    assert abs(taken[1] - 45_000) <= 10


def water_filled(sizes, weights, budget):
    """Brute force: raise the common level until the budget is used."""
    low, high = 0.0, budget / weights.min()
    for _ in range(200):
        level = (low + high) / 2
        low, high = (level, high) if np.minimum(sizes, level * weights).sum() < budget else (low, level)
    return np.minimum(sizes, low * weights)


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
def test_clusters_are_filled_like_water(temperature):
    sizes = np.array([20_000, 4_000, 800, 50])
    cluster = np.repeat(np.arange(4), sizes)
    tokens = np.ones(len(cluster), np.int64)
    parts = (np.arange(len(cluster), dtype=np.uint64), tokens, np.zeros(len(cluster), int), cluster)
    drawn = draw(parts, target_tokens=6_000, cluster_temperature=temperature)
    found = np.bincount(cluster[drawn.taken], minlength=4)
    expected = water_filled(sizes.astype(float), sizes.astype(float) ** temperature, 6_000.0)
    assert np.abs(found - expected).max() <= 2
    assert found.sum() == 6_000


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
def test_clusters_do_not_move_shares_between_sources(temperature):
    source = np.repeat([0, 1], [6_000, 3_000])
    cluster = np.where(source == 0, np.arange(9_000) % 20, 20)  # many clusters in one, a single one in the other
    parts = (np.arange(9_000, dtype=np.uint64), np.ones(9_000, np.int64), source, cluster)
    drawn = draw(parts, target_tokens=3_000, cluster_temperature=temperature)
    assert np.abs(np.bincount(source[drawn.taken]) - [2_000, 1_000]).max() <= 1


def test_importance_draws_without_replacement_in_proportion():
    weights = np.array([8.0, 4.0, 2.0, 1.0, 1.0])
    docs = np.arange(5, dtype=np.uint64)
    parts = (docs, np.ones(5, np.int64), np.zeros(5, int), np.zeros(5, int))
    first = np.zeros(5)
    for seed in range(4000):
        drawn = draw(parts, log_weight=np.log(weights), target_tokens=1, seed=seed)
        first[drawn.taken] += 1
    expected = weights / weights.sum() * 4000
    assert ((first - expected) ** 2 / expected).sum() < 18.5  # chi-squared, 4 degrees of freedom: p = 0.001


def test_a_budget_over_the_corpus_takes_all():
    parts = corpus(50)
    drawn = draw(parts, target_tokens=10**9)
    assert drawn.taken.all()
    assert drawn.water == float("inf")
    empty = tuple(part[:0] for part in parts)
    assert len(draw(empty, target_tokens=5, cluster_temperature=0.0, shares=(1.0, 1.0, 1.0)).taken) == 0
