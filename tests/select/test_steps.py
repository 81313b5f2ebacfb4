"""Prototypes and the steps together: order, exactness, monotony, against a plain reading of the rules."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.whole_sample import take_steps
from winnow.select.prototypes import nearest_to_centre
from winnow.select.step_configs import SampleConfig
from winnow.select.steps import BUDGET, PROTOTYPES, QUALITY, Candidates, StepsConfig

OFF = StepsConfig(
    threshold=None, drop_share=None, sample=None, importance=False, max_features=None, quality_temperature=None
)


def with_settings(**changes) -> StepsConfig:
    return OFF.model_copy(update=changes)


def corpus(count: int, seed: int) -> Candidates:
    rng = np.random.default_rng(seed)
    cluster = rng.integers(-1, 6, count)
    quality = rng.random(count)
    quality[cluster < 0] = np.nan
    return Candidates(
        docs=rng.choice(1 << 40, count, replace=False).astype(np.uint64),
        source=rng.integers(0, 3, count),
        tokens=rng.integers(1, 500, count).astype(np.int64),
        cluster=cluster,
        centre_cosine=np.where(cluster < 0, np.nan, np.round(rng.random(count), 2)).astype(np.float32),
        log_weight=rng.normal(0, 3, count),
        quality=quality,
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 300), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_prototypes_are_the_nearest_of_each_cluster(count, share, other):
    c = corpus(count, count)
    dropped, cut = nearest_to_centre(c.docs, c.cluster, c.centre_cosine, share)
    for cluster in np.unique(c.cluster):
        mine = np.flatnonzero(c.cluster == cluster)
        expected = int(len(mine) * share) if cluster >= 0 else 0
        best = sorted(mine, key=lambda row: (-c.centre_cosine[row], -int(c.docs[row])))[:expected]
        assert sorted(best) == sorted(mine[dropped[mine]])
        if expected:
            assert (cut[mine] == c.centre_cosine[best].min()).all()
        else:
            assert np.isnan(cut[mine]).all()
    more, _ = nearest_to_centre(c.docs, c.cluster, c.centre_cosine, max(share, other))
    assert not (dropped & ~more).any()
    order = np.random.default_rng(2).permutation(count)
    again, _ = nearest_to_centre(c.docs[order], c.cluster[order], c.centre_cosine[order], share)
    assert np.array_equal(dropped[order], again)


def test_each_step_sees_what_the_one_before_left():
    c = corpus(400, 1)
    sample = SampleConfig(target_tokens=20_000)
    result = take_steps(c, with_settings(threshold=0.4, drop_share=0.3, sample=sample), None)
    assert list(result.seen) == [QUALITY, PROTOTYPES, BUDGET]
    low = c.quality < 0.4
    assert np.array_equal(result.rule == QUALITY, low)
    assert np.array_equal(result.value[low], c.quality[low].astype(np.float32))
    rest = dataclasses.replace(c, **{f.name: getattr(c, f.name)[~low] for f in dataclasses.fields(c)})
    nearest, cut = nearest_to_centre(rest.docs, rest.cluster, rest.centre_cosine, 0.3)
    assert np.array_equal(result.rule[~low] == PROTOTYPES, nearest)
    assert np.array_equal(result.limit[~low][nearest], cut[nearest])
    assert (result.value[result.rule == PROTOTYPES] >= result.limit[result.rule == PROTOTYPES]).all()
    assert np.array_equal(result.seen[BUDGET], (result.rule < 0) | (result.rule == BUDGET))
    assert c.tokens[result.rule < 0].sum() <= 20_000
    # documents without a vector are judged by no step but the budget
    assert not np.isin(result.rule[c.cluster < 0], (QUALITY, PROTOTYPES)).any()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 60_000),
    st.sampled_from([None, 0.3]),
    st.sampled_from([None, 0.2]),
    st.sampled_from([None, 0.5, 4.0]),
    st.sampled_from([None, 1.0]),
    st.sampled_from([None, 0.0, 0.7]),
    st.booleans(),
)
def test_exact_repeatable_and_monotone(count, budget, threshold, share, odds, weighed, balance, shared):
    c = corpus(count, count)
    c = c if weighed else dataclasses.replace(c, log_weight=None)
    named = {"0": 3.0, "1": 1.0, "2": 0.5} if shared else None
    shares = np.array([3.0, 1.0, 0.5]) if shared else None

    def taken(tokens: int, rows=slice(None)):
        sample = SampleConfig(target_tokens=tokens, cluster_temperature=balance, shares=named)
        config = with_settings(threshold=threshold, drop_share=share, sample=sample, quality_temperature=odds)
        columns = {f.name: getattr(c, f.name) for f in dataclasses.fields(c)}
        chosen = {name: None if column is None else column[rows] for name, column in columns.items()}
        return take_steps(Candidates(**chosen), config, shares)

    small = taken(budget)
    filled = c.tokens[small.rule < 0].sum()
    assert filled <= budget
    out = small.rule == BUDGET
    if out.any():
        first = np.flatnonzero(out)[small.value[out] == small.value[out].min()]
        assert filled + c.tokens[first].max() > budget
    large = taken(budget + 5_000)
    assert not ((small.rule < 0) & (large.rule >= 0)).any()
    order = np.random.default_rng(4).permutation(count)
    assert np.array_equal(taken(budget, order).rule, small.rule[order])


def test_importance_ranks_inside_the_groups_and_leaves_their_shares():
    rng = np.random.default_rng(8)
    count = 9_000
    source = np.repeat([0, 1], [6_000, 3_000])
    good = rng.random(count) < np.where(source == 0, 0.5, 0.1)
    c = Candidates(
        docs=np.arange(count, dtype=np.uint64),
        source=source,
        tokens=np.full(count, 10, np.int64),
        cluster=np.zeros(count, int),
        log_weight=np.where(good, 8.0, -8.0),
    )
    sample = SampleConfig(target_tokens=20_000, shares={"a": 1.0, "b": 1.0})
    result = take_steps(c, with_settings(sample=sample), np.array([1.0, 1.0]))
    taken = result.rule < 0
    assert np.bincount(source[taken]).tolist() == [1000, 1000]  # shares hold
    assert good[taken & (source == 0)].all()  # the best of the first
    assert good[taken & (source == 1)].sum() == pytest.approx(good[source == 1].sum(), abs=3)  # all good ones it has
