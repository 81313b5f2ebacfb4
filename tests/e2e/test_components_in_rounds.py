"""Components in rounds: the tables of the one unit, cut by documents; the same shards, nights, semantic duplicates."""

import numpy as np
import pyarrow as pa
import pytest

from tests.support.configs import night_config, sample_config
from tests.support.corpora import articles, renamed, write_nights, write_sample
from tests.support.finished import ledger, shards_of, text_files_of
from tests.support.small_work import many_partitions, many_units
from winnow.audit.documents import components_of
from winnow.config.config import parse_config
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.stages.dedup import component_rounds, index_groups
from winnow.stages.dedup.components import fit_one_unit
from winnow.stages.tables import read_ipc

HALVES = ("component_links", "large_star", "small_star", "component_ranges")


@pytest.fixture
def small(monkeypatch):
    """Many files of edges, units of 25 edges, seven partitions, ranges of 100 documents."""
    many_units(monkeypatch)
    many_partitions(monkeypatch)
    monkeypatch.setattr(component_rounds, "PAIR_BYTES", 10_000)


def tables(finished, stage="components", output="components"):
    """The rows of all tables of an output, one after another."""
    written = [record.outputs[output] for record in finished.of(stage) if output in record.outputs]
    found = pa.concat_tables([read_ipc(finished.store, table.reference()) for table in written])
    return {name: found.column(name).to_numpy() for name in found.schema.names}


def same_tables(one, other, **which):
    expected, found = tables(one, **which), tables(other, **which)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    return len(values)


@pytest.mark.parametrize(("executor", "workers"), [("inline", 1), pytest.param("processes", 2, marks=pytest.mark.slow)])
def test_the_same_run_in_one_unit_and_in_rounds(tmp_path, small, executor, workers):
    write_sample(tmp_path / "data", 150)
    select = {"encoder": {"dimensions": 32}, "semantic": {"epsilon": 0.3}, "clusters": {"number": 4}}
    compute = {"unit_mb": 1, "partition_mb": 1, "executor": executor, "workers": workers}

    def done(how):
        dedup = {"components": how}
        folder = tmp_path / how
        run(parse_config(sample_config(tmp_path / "data", folder, compute=compute, dedup=dedup, select=select)))
        return load_run(str(folder))

    one, rounds = done("one_unit"), done("rounds")
    assert shards_of(tmp_path / "one_unit") == shards_of(tmp_path / "rounds")
    assert text_files_of(tmp_path / "one_unit") == text_files_of(tmp_path / "rounds")
    assert same_tables(one, rounds) > 20
    assert same_tables(one, rounds, stage="semantic_components") > 20
    for counter in ("documents", "components"):
        assert one.total("components", counter) == rounds.total("components", counter) > 0
    docs = tables(one)["doc"]
    np.testing.assert_array_equal(components_of(one, docs), components_of(rounds, docs))
    assert len(one.of("components")) == 1 and not one.of("large_star")
    assert len(rounds.of("components")) > 2 and all(len(rounds.of(stage)) > 1 for stage in HALVES)


@pytest.mark.slow
def test_nights_in_rounds_are_nights_in_one_unit(tmp_path, small, monkeypatch):
    for module, row in ((component_rounds, "PAIR_BYTES"), (index_groups, "LINK_BYTES")):
        monkeypatch.setattr(module, row, 25_000)
    files = write_nights(tmp_path / "data", renamed(articles(4, 120)), 3)
    ledgers = {}
    for how in ("one_unit", "rounds"):
        for number, file in enumerate(files):
            folder = tmp_path / f"{how}-{number}"
            settings = {"dedup": {"components": how}, "compute": {"partition_mb": 1}}
            run(parse_config(night_config(folder, [file], tmp_path / f"index-{how}", **settings)))
            ledgers[how, number] = ledger(folder)
    for number in range(len(files)):
        assert ledgers["one_unit", number] == ledgers["rounds", number]
    one, rounds = (load_run(str(tmp_path / f"{how}-2")) for how in ("one_unit", "rounds"))
    assert same_tables(one, rounds, output="matched_components") > 0
    assert same_tables(one, rounds, stage="index_members", output="indexed") > 0
    assert same_tables(one, rounds, stage="index_groups", output="groups") > 0
    assert len(one.of("index_groups")) == 1 and not one.of("index_links")
    assert sum("matched_components" in record.outputs for record in rounds.of("components")) > 1
    stages = ("index_groups", "index_links", "index_edges", "index_members")
    assert min(units := [len(rounds.of(stage)) for stage in stages]) > 1, units


def test_rounds_begin_where_the_one_unit_might_not_fit():
    assert fit_one_unit(edges=10**9, documents=24_000_000, worker_memory_mb=2048)
    assert fit_one_unit(edges=12_000_000, documents=10**9, worker_memory_mb=2048)
    assert not fit_one_unit(edges=10**9, documents=25_000_000, worker_memory_mb=2048)


def test_auto_takes_rounds_where_the_one_unit_might_not_fit(tmp_path, small, monkeypatch):
    monkeypatch.setattr("winnow.flow.components.fit_one_unit", lambda *_given: False)
    write_sample(tmp_path / "data", 60)
    found = run(parse_config(sample_config(tmp_path / "data", tmp_path / "run"))).run
    assert found.of("large_star")
