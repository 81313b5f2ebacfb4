"""Verify's look at the sample: it closes for what the steps leave out with all documents at hand, for nothing else."""

import dataclasses
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.whole_sample import take_steps
from winnow.audit.verify.sample import IN, OTHERWISE, SampleCheck, steps_told
from winnow.select.sampling import draw_keys
from winnow.select.step_configs import SampleConfig
from winnow.select.steps import BUDGET, PROTOTYPES, QUALITY, Candidates, StepsConfig

SHARES = np.array([3.0, 1.0, 0.5])


def corpus(count: int, seed: int, clusters: int = 5) -> Candidates:
    """Documents of three sources, some without tokens, some without a vector; cosines and weights tie."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(-1, clusters, count)
    return Candidates(
        docs=np.sort(rng.choice(1 << 40, count, replace=False)).astype(np.uint64),
        source=rng.integers(0, 3, count).astype(np.uint16),
        tokens=np.maximum(0, rng.integers(-50, 300, count)).astype(np.int64),
        cluster=cluster.astype(np.int32),
        centre_cosine=np.where(cluster < 0, np.nan, np.round(rng.random(count), 1)).astype(np.float32),
        log_weight=np.where(rng.random(count) < 0.2, -1e300, np.round(rng.normal(0, 3, count))),
        quality=np.where(cluster < 0, np.nan, rng.random(count)),
    )


def steps(budget: int | None, threshold=None, share=None, odds=None, balance=None) -> StepsConfig:
    sample = None if budget is None else SampleConfig(target_tokens=budget, cluster_temperature=balance)
    return StepsConfig(
        threshold=threshold,
        drop_share=share,
        sample=sample,
        importance=False,
        max_features=None,
        quality_temperature=odds,
    )


def checked(c: Candidates, step: np.ndarray, config: StepsConfig, shares, parts: int) -> dict[str, int]:
    """By balance, by how much it is open."""
    check = SampleCheck(config, shares)
    for rows in np.array_split(np.arange(len(c.docs)), parts):
        columns = {f.name: getattr(c, f.name) for f in dataclasses.fields(c)}
        part = Candidates(**{name: None if column is None else column[rows] for name, column in columns.items()})
        check.add(part, step[rows])
    return {balance.what: abs(balance.expected - balance.found) for balance in check.balances()}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 5),
    st.one_of(st.none(), st.integers(1, 12_000)),
    st.sampled_from([None, 0.3]),
    st.sampled_from([None, 0.3]),
    st.sampled_from([None, 2.0]),
    st.sampled_from([None, 0.0, 0.7, 1.0]),
    st.booleans(),
    st.data(),
)
def test_it_closes_for_the_sample_and_for_nothing_else(
    count, parts, budget, threshold, share, odds, balance, shared, data
):
    c, config = corpus(count, count), steps(budget, threshold, share, odds, balance)
    shares = SHARES if shared else None
    right = take_steps(c, config, shares).rule
    assert not any(checked(c, right, config, shares, parts).values())
    changed = right.copy()
    for row in data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=3)):
        changed[row] = data.draw(st.sampled_from([OTHERWISE, IN, BUDGET, QUALITY, PROTOTYPES]))
    if (c.tokens > 0)[changed != right].any():  # the others change nothing, and are not always told apart
        assert any(checked(c, changed, config, shares, parts).values())


def test_documents_without_tokens_have_a_side_too():
    c, config = dataclasses.replace(corpus(400, 1), log_weight=None), steps(20_000)
    step = take_steps(c, config, None).rule
    key = -draw_keys(c.docs, None, 0)
    empty = np.flatnonzero(c.tokens == 0)
    for row, other in ((empty[key[empty].argmin()], BUDGET), (empty[key[empty].argmax()], IN)):
        changed = step.copy()
        changed[row] = other
        assert (changed != step).any()
        assert any(checked(c, changed, config, None, 4).values())


@pytest.mark.parametrize("balance", [None, 0.5])
def test_two_documents_that_change_places_are_found(balance):
    c, config = corpus(400, 1), steps(20_000, balance=balance)
    c = dataclasses.replace(c, tokens=np.full(400, 100))  # sums stay the same
    step = take_steps(c, config, None).rule
    taken, left = (np.flatnonzero(step == what)[7] for what in (IN, BUDGET))
    step[[taken, left]] = step[[left, taken]]
    found = checked(c, step, config, None, 4)
    assert [what for what, by in found.items() if by] == [
        "documents of groups in whose order the sample takes the first"
    ]


@pytest.mark.parametrize(("more", "what"), [(-1, "next documents"), (1, "tokens of the sample over its budget")])
def test_a_sample_that_ends_a_document_too_soon_or_too_late_is_found(more, what):
    c, config = dataclasses.replace(corpus(400, 1), log_weight=None), steps(20_000)
    step = take_steps(c, config, None).rule
    limit = (int(c.tokens[step == IN].sum()), int((step == IN).sum()))
    order = np.lexsort((c.docs, -draw_keys(c.docs, None, 0)))
    step[order] = np.where(np.arange(400) < limit[1] + more, IN, BUDGET)
    assert limit[0] != c.tokens[step == IN].sum()
    (told,) = (name for name, by in checked(c, step, config, None, 4).items() if by)
    assert told.startswith(what)


def test_what_the_ledger_says_of_documents():
    said = [
        (2, "kept", None, IN),
        (3, "sampled_out", "select.quality", QUALITY),
        (5, "sampled_out", "shards.mixture", IN),  # select kept it
        (6, "sampled_out", None, OTHERWISE),
        (7, "near_duplicate", None, OTHERWISE),
        (8, "sampled_out", "gopher.words", OTHERWISE),
        (9, "sampled_out", "select.budget", BUDGET),
    ]
    docs, outcome, rule, expected = zip(*said, strict=True)
    table = pa.table({"doc": pa.array(docs, pa.uint64()), "outcome": outcome, "rule": pa.array(rule, pa.string())})
    assert steps_told(table, np.array(docs, np.uint64)).tolist() == list(expected)
    assert steps_told(table, np.array([0, 4, 9, 12], np.uint64)).tolist() == [OTHERWISE, OTHERWISE, BUDGET, OTHERWISE]
    assert steps_told(table.slice(0, 0), np.array([0, 2], np.uint64)).tolist() == [OTHERWISE, OTHERWISE]


def test_memory_is_that_of_a_part_and_of_the_groups():
    config = steps(10**6, threshold=0.1, share=0.2, odds=1.0, balance=0.5)

    def peak(parts: int) -> int:
        check = SampleCheck(config, SHARES)
        tracemalloc.start()
        for part in range(parts):
            c = corpus(2_000, part, clusters=50)
            check.add(c, np.zeros(len(c.docs), np.int8))
        check.balances()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(120) < 1.1 * peak(40)
