"""Paths and counters travel between stages, never the corpus: what a record and a unit hold grows with no document."""

import orjson
import pytest

from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from tests.support.small_work import many_units
from winnow.config.config import parse_config
from winnow.engine.engine import Engine
from winnow.runs.run import run

DIGITS = 400
"""Bytes that numbers with more digits, and further kinds of failed rules, may take."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs, over a corpus and over one of ten times as many documents: largest unit and record of each stage."""
    folder = tmp_path_factory.mktemp("records")
    sizes = []
    for documents in (40, 400):
        units: dict[str, int] = {}
        engine_run = Engine.run

        def watched(self, stage, planned, *more, units=units, engine_run=engine_run, **named):
            units[stage.name] = max((len(orjson.dumps(unit.inputs)) for unit in planned), default=0)
            return engine_run(self, stage, planned, *more, **named)

        write_sample(folder / str(documents), documents)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Engine, "run", watched)
            context = run(parse_config(sample_config(folder / str(documents), folder / f"run-{documents}")))
        assert len(context.run.parts) == 1  # more documents, and not more units
        records = {
            name: max((len(record.to_json()) for record in committed), default=0)
            for name, committed in context.run.records.items()
        }
        sizes.append((records, units))
    return sizes


def test_records_do_not_grow_with_the_documents(runs):
    (few, _), (many, _) = runs
    assert few.keys() == many.keys()
    assert {name: (few[name], many[name]) for name in few if many[name] > few[name] + DIGITS} == {}


def test_units_do_not_grow_with_the_documents(runs):
    (_, few), (_, many) = runs
    assert {name: (few[name], many[name]) for name in few if many[name] > few[name] + DIGITS} == {}


def test_reduce_units_name_their_inputs_by_one_list(tmp_path, monkeypatch):
    """So that what a unit is told does not grow with the parts."""
    engine_run, described = Engine.run, {}

    def watched(self, stage, planned, *more, **named):
        described[stage.name] = max((len(orjson.dumps(unit.inputs)) for unit in planned), default=0)
        return engine_run(self, stage, planned, *more, **named)

    monkeypatch.setattr(Engine, "run", watched)
    write_sample(tmp_path / "data", 120)
    sizes = []
    for number, unit_bytes in enumerate((None, 10_000)):
        if unit_bytes is not None:
            many_units(monkeypatch, unit_bytes)
        context = run(parse_config(sample_config(tmp_path / "data", tmp_path / f"run-{number}")))
        sizes.append((len(context.run.parts), dict(described)))
    (one, few), (several, many) = sizes
    assert several >= 5 * one
    later = [name for name in few if name not in ("count", "measure")]  # these name slices of files
    assert {name: (few[name], many[name]) for name in later if many[name] > few[name] + DIGITS} == {}
