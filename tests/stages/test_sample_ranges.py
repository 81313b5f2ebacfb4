"""The stages of the sample, over any parts and partitions: what the steps leave out with all documents at hand."""

import dataclasses
import tempfile
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.whole_sample import take_steps
from winnow.config.config import parse_config
from winnow.engine.engine import Engine
from winnow.engine.records import Unit
from winnow.engine.stage import Stage
from winnow.flow.select_sample import find_sample, stages_of_sample
from winnow.select.steps import BUDGET, DROP_RULES, Candidates
from winnow.stages.select import sample, sample_ranges
from winnow.stages.select.scores import SCORES
from winnow.stages.tables import parquet_output, read_ipc
from winnow.storage.open_store import open_store

SOURCES = ("a", "b", "c")


def corpus(count: int, seed: int) -> Candidates:
    rng = np.random.default_rng(seed)
    cluster = rng.integers(-1, 6, count).astype(np.int32)
    quality = np.where(cluster < 0, np.nan, rng.random(count))
    return Candidates(
        docs=np.sort(rng.choice(1 << 40, count, replace=False)).astype(np.uint64),
        source=rng.integers(0, 3, count).astype(np.uint16),
        tokens=np.maximum(0, rng.integers(-50, 500, count)).astype(np.int64),
        cluster=cluster,
        centre_cosine=np.where(cluster < 0, np.nan, np.round(rng.random(count), 2)).astype(np.float32),
        log_weight=np.where(rng.random(count) < 0.2, -np.inf, rng.normal(0, 3, count)),
        quality=quality,
    )


def write_scores(unit, workspace):
    with parquet_output(workspace, "scores", SCORES) as table:
        if len(unit.inputs["doc"]):
            table.write({name: np.array(unit.inputs[name], field_type(name)) for name in SCORES.names})
    workspace.count("documents", len(unit.inputs["doc"]))
    workspace.count("stay", len(unit.inputs["doc"]))


def field_type(name: str):
    return SCORES.field(name).type.to_pandas_dtype()


def select_config(select: dict):
    sources = [{"name": name, "path": "x.jsonl"} for name in SOURCES]
    shards = {"sequence_tokens": 8}
    return parse_config({"run": "nowhere", "sources": sources, "select": select, "shards": shards})


def found_by_stages(c: Candidates, select: dict, parts: int, partitions: int):
    """Rule, value and limit of every document, all counters of the stage, and the units of each stage."""
    config = select_config(select)
    cuts = np.linspace(0, len(c.docs), parts + 1).astype(int)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_ranges, "partitions_for", lambda *_size: partitions)
        engine = Engine(open_store(folder), config.compute)
        columns = {
            "doc": c.docs,
            "source": c.source,
            "tokens": c.tokens,
            "cluster": c.cluster,
            "centre_cosine": c.centre_cosine,
            "importance": c.log_weight,
            "features": np.ones(len(c.docs), np.int64),
            "quality": c.quality,
            "stays": np.ones(len(c.docs), bool),
        }
        units = [
            Unit(n, {"part": n} | {name: column[begin:end].tolist() for name, column in columns.items()})
            for n, (begin, end) in enumerate(pairwise(cuts))
        ]
        for unit in units:  # JSON knows no infinity; a document without words has a weight that nothing draws
            unit.inputs["importance"] = [-1e300 if value == -np.inf else value for value in unit.inputs["importance"]]
        scored = engine.run(Stage("made", 1, {}, write_scores), units)
        first = [int(c.docs[begin]) if begin < len(c.docs) else int(c.docs[-1]) + 1 for begin in cuts[:-1]]
        run = SimpleNamespace(parts=[SimpleNamespace(first_doc=doc) for doc in first])
        context = SimpleNamespace(engine=engine, config=config, run=run, sizes=SimpleNamespace(partition_mb=1))
        records = find_sample(context, config.select, scored)
        names = stages_of_sample(config.select)
        assert [summary.name for summary in engine.summaries] == ["made", *names]
        rule, value, limit = np.full(len(c.docs), -1), *np.zeros((2, len(c.docs)), np.float32)
        for record in records:
            table = read_ipc(engine.store, record.outputs["drops"].reference())
            row = np.searchsorted(c.docs, table.column("doc").to_numpy())
            rule[row], value[row], limit[row] = (
                table.column(name).to_numpy() for name in ("rule", "value", "threshold")
            )
        counters = {}
        for record in records:
            for name, number in record.counters.items():
                counters[name] = counters.get(name, 0) + number
        return (rule, value, limit), counters, {s.name: s.units for s in engine.summaries}


def found_at_once(c: Candidates, select: dict):
    config = select_config(select).select
    steps = sample.steps_of(config)
    if not steps.importance:
        c = dataclasses.replace(c, log_weight=None)
    else:
        c = dataclasses.replace(c, log_weight=np.where(c.log_weight == -np.inf, -1e300, c.log_weight))
    return take_steps(c, steps, sample.shares_of(steps, list(SOURCES)))


EXAMPLES = {"positive": "p.jsonl", "negative": "n.jsonl"}
SHARES = {"a": 3.0, "b": 1.0, "c": 0.5}


def same(count, parts, partitions, select):
    c = corpus(count, count)
    expected = found_at_once(c, select)
    (rule, value, limit), counters, units = found_by_stages(c, select, parts, partitions)
    np.testing.assert_array_equal(rule, expected.rule)
    np.testing.assert_array_equal(value, expected.value)
    np.testing.assert_array_equal(limit, expected.limit)
    assert counters["documents"] == count
    assert counters["taken_tokens"] == c.tokens[expected.rule < 0].sum()
    for step, seen in expected.seen.items():
        name = DROP_RULES[step].removeprefix("select.")
        out = expected.rule == step
        books = ("documents", "tokens", "documents_out", "tokens_out")
        numbers = (seen.sum(), c.tokens[seen].sum(), out.sum(), c.tokens[out].sum())
        assert tuple(counters[f"{name}/{book}"] for book in books) == numbers
    for place, source in enumerate(SOURCES):
        taken = (expected.rule < 0) & (c.source == place)
        assert counters[f"taken_tokens/{source}"] == c.tokens[taken].sum()
    return units, expected


MODES = {
    "budget": {"sample": {"target_tokens": 9_000}},
    "everything fits": {"sample": {"target_tokens": 10**9}},
    "shares": {"sample": {"target_tokens": 9_000, "shares": SHARES}},
    "balanced": {"sample": {"target_tokens": 9_000, "cluster_temperature": 0.5}},
    "weighed": {
        "quality": {**EXAMPLES, "temperature": 2.0},
        "importance": {"target": "t.jsonl", "max_features": None},
        "sample": {"target_tokens": 9_000},
    },
    "quality": {"quality": {**EXAMPLES, "threshold": 0.5}},
    "prototypes": {"prototypes": {"drop_share": 0.3}},
    "all": {
        "quality": {**EXAMPLES, "threshold": 0.2, "temperature": 2.0},
        "prototypes": {"drop_share": 0.3},
        "importance": {"target": "t.jsonl", "max_features": None},
        "sample": {"target_tokens": 9_000, "shares": SHARES, "cluster_temperature": 0.3},
    },
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_leaves_out_what_it_does_with_all_at_hand(mode):
    select = {"semantic": "off", **MODES[mode]}
    units, expected = same(150, 4, 3, select)
    assert units["sample"] == 4
    if mode not in ("quality", "prototypes", "everything fits"):
        assert (expected.rule == BUDGET).any()
        assert units["sample_limit"] == 1 < units["sample_places"]
    if mode == "everything fits":
        assert units["sample_places"] == 0


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 120),
    st.integers(1, 5),
    st.integers(1, 6),
    st.sampled_from(sorted(MODES)),
    st.integers(1, 40_000),
    st.sampled_from([None, 0.0, 0.7, 1.0]),
)
def test_any_parts_partitions_and_budgets(count, parts, partitions, mode, budget, temperature):
    select = {"semantic": "off", **MODES[mode]}
    if "sample" in select:
        select["sample"] = {**select["sample"], "target_tokens": budget, "cluster_temperature": temperature}
    same(count, parts, partitions, select)
