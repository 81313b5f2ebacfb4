"""Thresholds by quantile: those of the plain statement and of numpy, for any parts, groups and values."""

import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from winnow.engine.config import ComputeConfig
from winnow.engine.engine import Engine
from winnow.engine.records import Unit
from winnow.engine.stage import Stage, Workspace
from winnow.stages import quantiles
from winnow.stages.ingest.measure import Part
from winnow.stages.quantiles import keys_of, value_of
from winnow.stages.tables import parquet_output
from winnow.storage.local_store import LocalStore
from winnow.text.rules.signal_rules import SignalRule, quantile_bounds, rank_of

_SIGNALS = pa.schema(
    [
        ("doc", pa.uint64()),
        ("source", pa.dictionary(pa.int32(), pa.string())),
        ("language", pa.dictionary(pa.int32(), pa.string())),
        ("words", pa.uint32()),
        ("edu", pa.float32()),
    ]
)
SINGLE = st.floats(width=32, allow_nan=False)


def write_part(workspace: Workspace, rows: list[tuple], first_doc: int) -> None:
    columns = list(zip(*rows, strict=True)) if rows else [[]] * 4
    source, language, words, edu = (list(column) for column in columns)
    with parquet_output(workspace, "signals", _SIGNALS) as table:
        table.write(
            {
                "doc": np.arange(first_doc, first_doc + len(rows), dtype=np.uint64),
                "source": pa.array(source, pa.string()).dictionary_encode(),
                "language": pa.array(language, pa.string()).dictionary_encode(),
                "words": pa.array(words, pa.uint32()),
                "edu": pa.array(edu, pa.float32()),
            }
        )


def run_signals(unit: Unit, workspace: Workspace) -> None:
    write_part(workspace, [tuple(row) for row in unit.inputs["rows"]], unit.number << 32)


def cut(folder, rules: tuple[SignalRule, ...], parts: list[list[tuple]]) -> quantiles.Cuts:
    """The four stages, as the walk has them."""
    engine = Engine(LocalStore(str(folder)), ComputeConfig(executor="inline", attempts=1))
    units = [Unit(number, {"rows": rows, "number": number}) for number, rows in enumerate(parts)]
    written = engine.run(Stage("signals", 1, {}, run_signals), units)
    listed = [
        Part(n, n, 0, r.outputs["signals"].rows, {}, r.outputs["signals"].reference(), {})
        for n, r in enumerate(written)
    ]
    counting, looking = quantiles.counts_stage(rules), quantiles.values_stage(rules)
    counted = engine.run(counting, quantiles.plan_counts(listed))
    counts = engine.listing(counting, counted, "counts")
    (bins,) = engine.run(quantiles.bins_stage(rules), quantiles.plan_bins(counts, counted))
    looked = engine.run(looking, quantiles.plan_values(listed, bins))
    lower = engine.listing(looking, looked, "counts")
    (found,) = engine.run(quantiles.cuts_stage(), quantiles.plan_cuts(lower, looked, bins))
    return quantiles.read_cuts(engine.store, found.outputs["cuts"].reference(), len(quantile_bounds(rules)))


def nearest_rank(values: list[float], quantile: float) -> float:
    """The plain statement."""
    return sorted(values)[max(1, math.ceil(Fraction(str(quantile)) * len(values))) - 1]


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["web", "books"]),
        st.sampled_from(["en", "de", None]),
        st.one_of(st.integers(0, 5), st.integers(0, 2**32 - 1)),
        st.one_of(st.none(), SINGLE, st.sampled_from([0.0, 1.5, -1.5])),
    ),
    max_size=30,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(ROWS.filter(bool), min_size=1, max_size=3), sixteenths=st.integers(0, 16))
def test_every_group_has_the_value_of_its_rank(tmp_path_factory, parts, sixteenths):
    quantile = sixteenths / 16  # in binary: numpy's own rank is exact, too
    rules = (
        SignalRule(signal="edu", min_quantile=quantile),
        SignalRule(signal="words", max_quantile=quantile, by="source", languages=("en", "de")),
        SignalRule(signal="edu", min=0.0, max_quantile=quantile, by="language", sources=("web",), name="third"),
    )
    cuts = cut(tmp_path_factory.mktemp("q"), rules, parts)
    rows = [row for part in parts for row in part]
    expected: list[dict] = [{}, {}, {}]
    for source, language, words, edu in rows:
        if edu is not None:
            expected[0].setdefault(None, []).append(edu)
        if language is not None:
            expected[1].setdefault(source, []).append(words)
        if edu is not None and source == "web":
            expected[2].setdefault(language, []).append(edu)
    for found, groups in zip(cuts, expected, strict=True):
        assert found == {group: nearest_rank(values, quantile) for group, values in groups.items()}
        for group, values in groups.items():
            numpy_says = np.quantile(np.array(values, np.float64), quantile, method="inverted_cdf")
            assert found[group] == numpy_says


@given(values=st.lists(SINGLE, min_size=1))
def test_keys_have_the_order_of_the_values_and_give_them_back(values):
    column = np.array(values, np.float32) + np.float32(0)
    key, whole = keys_of(column, pa.float32())
    assert not whole
    assert [value_of(int(k), whole=False) for k in key] == column.tolist()
    assert np.array_equal(np.sort(column), column[np.argsort(key, kind="stable")])


@given(quantile=st.decimals(0, 1, places=4), number=st.integers(1, 10**9))
@example(quantile=0.07, number=100)  # 7.000000000000001 in floating point
@example(quantile=0.7, number=10)
def test_ranks_are_those_of_the_decimal(quantile, number):
    rank = rank_of(float(quantile), number)
    exact = Fraction(str(quantile)) * number
    assert 1 <= rank <= number
    assert rank == 1 or rank - 1 < exact <= rank


def test_many_documents_of_one_value_and_many_values(tmp_path):
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(size=3000), np.zeros(3000)]).astype(np.float32)
    rng.shuffle(values)
    rows = [("web", "en", int(n), float(value)) for n, value in enumerate(values)]
    parts = [rows[start : start + 700] for start in range(0, len(rows), 700)]
    rules = tuple(
        SignalRule(signal="edu", min_quantile=q, name=f"q{n}") for n, q in enumerate((0, 0.1, 0.3, 0.5, 0.9, 1))
    )
    found = [cuts[None] for cuts in cut(tmp_path, rules, parts)]
    assert found == [nearest_rank(values.tolist(), rule.min_quantile) for rule in rules]


@pytest.mark.parametrize("bad", [-0.1, 1.1])
def test_shares_only(bad):
    with pytest.raises(ValueError, match="min_quantile"):
        SignalRule(signal="edu", min_quantile=bad)
