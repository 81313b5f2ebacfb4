"""Figures that plans reckon with and that are kept by hand, against what a small run really opens and writes."""

from collections import Counter

import pytest

from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from tests.support.small_work import many_units
from winnow.config.config import parse_config
from winnow.engine.executors import execute
from winnow.flow.flow import part_work, stages_of
from winnow.runs.estimate import requests as request_sizing
from winnow.runs.run import run
from winnow.storage.local_store import LocalStore

A_PART = ("filter", "bands", "candidate_sizes", "candidates", "decide", "tokenise", "shuffle")
"""Stages with one unit a part."""


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """Runs a small corpus of several parts; returns the walk, and how many files each unit opened to read."""
    write_sample(tmp_path / "data", 40)
    many_units(monkeypatch)
    run_unit = execute.run_unit
    opened: Counter[tuple[str, int]] = Counter()
    doing = [("", 0)]

    def watched(stage, unit, store, *more):
        doing[0] = (stage.name, unit.number)
        try:
            return run_unit(stage, unit, store, *more)
        finally:
            doing[0] = ("", 0)

    def counting(method):
        def called(self, *given, **named):
            opened[doing[0]] += 1
            return method(self, *given, **named)

        return called

    monkeypatch.setattr(execute, "run_unit", watched)
    monkeypatch.setattr(LocalStore, "drop_page_cache", lambda *_given, **_named: None)  # opens nothing to read
    for name in ("open", "columns_of", "local"):
        monkeypatch.setattr(LocalStore, name, counting(getattr(LocalStore, name)))

    def counted_run(**sections):
        opened.clear()
        context = run(parse_config(sample_config(tmp_path / "data", tmp_path / "run", **sections)))
        assert len(context.run.parts) > 2
        return context, opened

    return counted_run


def test_tables_that_a_part_opens(counted):
    context, opened = counted()
    for name in A_PART:
        assert len(context.run.records[name]) == len(context.run.parts), name
    assert len(context.run.of("keepers")) == 1  # so that a part's fates stand in one file
    # a part without candidates opens fewer
    most = {name: max(opened[name, number] for number in range(len(context.run.parts))) for name in A_PART}
    assert sum(most.values()) == part_work(context.config).opens, most


@pytest.mark.parametrize("dedup", [{}, "off"])
def test_files_and_records_of_a_part(counted, dedup):
    context, _ = counted(dedup=dedup)
    files, records = part_work(context.config).files, part_work(context.config).records
    parts = len(context.run.parts)
    later = [record for name in A_PART for record in context.run.records.get(name, [])]
    written = sum(len(record.outputs) for record in [*later, *context.run.of("measure")])
    assert (
        written - len(context.run.of("measure")) == files * parts
    )  # each unit of measure has a table of unreadable records, too
    assert len(later) == records * parts


def test_stages_of_a_run(counted):
    context, _ = counted()
    ran = {name for name, records in context.run.records.items() if records}
    assert set(stages_of(context.config)) == ran | {"count"}  # lines are counted of large plain JSONL alone


def test_rows_of_an_exchange_are_opened_as_often_as_is_reckoned_with(counted):
    """Header with index, and rows: one open. Then where the payload lies, and the payload itself: two more."""
    context, opened = counted()
    parts = len(context.run.parts)
    assert opened["edges", 0] == parts * request_sizing.READS_OF_ROWS // 2
    assert parts * 2 < opened["keepers", 0] <= parts * (request_sizing.READS_OF_ROWS_AND_PAYLOAD - 1)
