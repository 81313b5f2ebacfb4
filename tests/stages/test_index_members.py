"""Documents of an index in components that a run meets, over any ranges: those of a plain reading."""

import tempfile

import numpy as np
import pytest

from winnow import schemas
from winnow.config.config import parse_config
from winnow.engine.engine import Engine
from winnow.engine.records import Unit
from winnow.engine.stage import Stage
from winnow.stages.dedup import index_members
from winnow.stages.tables import ipc_output, read_ipc
from winnow.storage.open_store import open_store

FIRST = 1 << 63


def write_table(unit, workspace):
    with ipc_output(workspace, "groups", schemas.COMPONENTS) as table:
        table.write({name: np.array(unit.inputs[name], np.uint64) for name in schemas.COMPONENTS.names})


@pytest.mark.parametrize("ranges", [1, 3, 7])
@pytest.mark.parametrize("rows", [3, 1 << 20])
def test_members_of_all_that_a_run_meets_stand_in_the_range_that_they_lie_in(monkeypatch, ranges, rows):
    monkeypatch.setattr(index_members, "_ROWS", rows)
    rng = np.random.default_rng(ranges)
    docs = np.sort(rng.choice(400, 250, replace=False)).astype(np.uint64) + np.uint64(FIRST)
    # of the documents of the index some are in groups, which are named by their smallest
    group = rng.integers(0, 40, 200)
    linked = docs[np.sort(rng.choice(250, 200, replace=False))]
    named = np.array([linked[group == g].min() for g in group], np.uint64)
    alone = np.setdiff1d(docs, linked)
    met = np.sort(
        np.concatenate([rng.choice(np.unique(named), 15, replace=False), rng.choice(alone, 9, replace=False)])
    )
    component = rng.integers(0, 12, len(met)).astype(np.uint64)
    of_run = dict(zip(met.tolist(), component.tolist(), strict=True))
    expected = {int(d): of_run[int(n)] for d, n in zip(linked, named, strict=True) if int(n) in of_run}
    expected |= {int(d): of_run[int(d)] for d in alone if int(d) in of_run}

    starts = [FIRST, *sorted(FIRST + int(at) for at in rng.choice(np.arange(1, 400), ranges - 1, replace=False))]
    config = parse_config({"run": "nowhere", "sources": [{"name": "a", "path": "x"}]})
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(open_store(folder), config.compute)
        made = Stage("made", 1, {}, write_table)

        def cut(doc, of_doc):
            place = np.searchsorted(np.array(starts, np.uint64), doc, side="right") - 1
            found = [{"doc": doc[place == n].tolist(), "component": of_doc[place == n].tolist()} for n in range(ranges)]
            return engine.run(made, [Unit(n, {"range": n, **columns}) for n, columns in enumerate(found)])

        grouped = cut(linked, named)
        matched = engine.listing(made, cut(met, component), "groups")
        members = engine.run(index_members.stage(), index_members.plan(grouped, matched, starts))
        assert sum(record.counters["documents"] for record in members) == len(expected)

        def read(entries):
            tables = [read_ipc(engine.store, entry).to_pydict() for entry in entries]
            return [pair for table in tables for pair in zip(table["doc"], table["component"], strict=True)]

        assert read(record.outputs["indexed"].reference() for record in members) == sorted(expected.items())
        for begin, end in ((FIRST, FIRST + 400), (FIRST + 120, FIRST + 290), (FIRST + 399, FIRST + 400)):
            pairs = read(index_members.tables_of(members, begin, end))
            wanted = [pair for pair in sorted(expected.items()) if begin <= pair[0] < end]
            assert [pair for pair in pairs if begin <= pair[0] < end] == wanted
