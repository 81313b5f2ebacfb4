"""The components of an index in rounds are those of one unit, and of a plain reading of its links."""

import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow import schemas
from winnow.config.config import parse_config
from winnow.dedup.index import indexed_documents
from winnow.engine.engine import Engine
from winnow.engine.records import Unit
from winnow.engine.stage import Stage
from winnow.flow.components import find_groups, stages_of_groups
from winnow.stages.dedup import component_rounds, index_groups
from winnow.stages.dedup.components import group_of, group_tables
from winnow.stages.tables import ipc_output, read_ipc
from winnow.storage.open_store import open_store

KEPT = 12


def made_links(seed: int, parts: int) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Of every part: its segment, and its links; names are of few numbers, so they mean others in other segments."""
    rng = np.random.default_rng(seed)
    segments = np.sort(rng.integers(0, 3, parts))
    found = []
    for part, segment in enumerate(segments.tolist()):
        count = int(rng.integers(0, 9))
        earlier = np.flatnonzero(segments < segment)  # and components of earlier runs that are joined here
        of_part = np.where(rng.random(count) < 0.3, rng.choice([part, *earlier], count), part)
        docs = [int(indexed_documents(int(p), np.array([rng.integers(KEPT)], np.uint64))[0]) for p in of_part]
        pairs = sorted(set(zip(rng.integers(0, 6, count).tolist(), docs, strict=True)))
        found.append((segment, *np.array(pairs, np.uint64).reshape(-1, 2).T))
    return found


def plain_groups(links) -> dict[int, int]:
    """By linked document: the smallest one that is reached over shared names."""
    sets: list[set[int]] = []
    named: dict[tuple[int, int], set[int]] = {}
    for segment, names, docs in links:
        for name, doc in zip(names.tolist(), docs.tolist(), strict=True):
            named.setdefault((segment, name), set()).add(doc)
    for group in (group for group in named.values() if len(group) > 1):
        meeting = [other for other in sets if other & group]
        sets = [other for other in sets if not other & group] + [group.union(*meeting)]
    return {doc: min(group) for group in sets for doc in group}


def write_links(unit, workspace):
    with ipc_output(workspace, "links", schemas.LINKS) as table:
        table.write({name: np.array(unit.inputs[name], np.uint64) for name in ("component", "doc")})


def groups_of(links, how: str):
    """The documents of all tables and their components, in order; the units of the last stage; what names become."""
    values = {"run": "nowhere", "sources": [{"name": "a", "path": "x"}], "dedup": {"components": how}}
    config = parse_config(values)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for module, row in ((component_rounds, "PAIR_BYTES"), (index_groups, "LINK_BYTES")):
            patch.setattr(module, row, 40_000)
            patch.setattr(module, "partitions_for", lambda *_size: 3)
        engine = Engine(open_store(folder), config.compute)
        units = [
            Unit(n, {"part": n, "component": names.tolist(), "doc": docs.tolist()})
            for n, (_, names, docs) in enumerate(links)
        ]
        written = engine.run(Stage("made", 1, {}, write_links), units)
        entries = [
            {"part": n, "segment": links[n][0], "kept": KEPT, "links": record.outputs["links"].reference()}
            for n, record in enumerate(written)
        ]
        index = SimpleNamespace(run=lambda engine, stage, units: engine.run(stage, units))
        sizes = SimpleNamespace(partition_mb=1)
        context = SimpleNamespace(
            engine=engine, config=config, run=SimpleNamespace(records=engine.committed), sizes=sizes, index=index
        )
        listing = engine.publish_list(Stage("made", 1, {}, write_links), "index", entries)
        grouped = find_groups(context, listing, entries)
        assert {summary.name for summary in engine.summaries} == {"made", *stages_of_groups(context)}
        tables = [read_ipc(engine.store, record.outputs["groups"].reference()) for record in grouped]
        docs, component = (
            np.concatenate([table.column(name).to_numpy() for table in tables]) for name in ("doc", "component")
        )
        asked = np.array([5, *range((1 << 63) - 1, (1 << 63) + 3), *docs.tolist()[::-1], (1 << 64) - 1], np.uint64)
        listed = engine.listing(index_groups.groups_stage(), grouped, "groups")
        named = dict(zip(asked.tolist(), group_of(asked, group_tables(engine.store, listed)).tolist(), strict=True))
        return docs, component, len(grouped), named


def same(seed: int, parts: int) -> int:
    links = made_links(seed, parts)
    expected = plain_groups(links)
    for how in ("one_unit", "rounds"):
        docs, component, units, named = groups_of(links, how)
        assert docs.tolist() == sorted(expected)
        assert component.tolist() == [expected[doc] for doc in sorted(expected)]
        assert named == {doc: expected.get(doc, doc) for doc in named}
        assert how == "rounds" or units == 1
    return units


def test_rounds_name_the_components_of_an_index_as_one_unit_does():
    assert same(1, 6) > 1


def test_auto_takes_rounds_where_the_one_unit_might_not_fit(monkeypatch):
    links = made_links(1, 6)
    assert groups_of(links, "auto")[2] == 1
    monkeypatch.setattr("winnow.flow.components.fit_one_unit", lambda *_given: False)
    assert groups_of(links, "auto")[2] > 1


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_any_index(seed, parts):
    same(seed, parts)
