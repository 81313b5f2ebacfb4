"""Passages of removed documents in tokens of others, against a search in plain Python."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.stages.removals.standing import GRAM, GramSet, gram_hashes, runs_in, runs_in_parts


def plain(ids: list[int], removed: list[int]) -> list[tuple[int, int]]:
    held = {tuple(removed[i : i + GRAM]) for i in range(len(removed) - GRAM + 1)}
    hits = [i for i in range(len(ids) - GRAM + 1) if tuple(ids[i : i + GRAM]) in held]
    found: list[tuple[int, int]] = []
    for i in hits:
        if found and found[-1][1] == i + GRAM - 1:
            found[-1] = (found[-1][0], i + GRAM)
        else:
            found.append((i, i + GRAM))
    return found


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_runs_are_those_of_a_plain_search(data):
    few = st.integers(0, 2) if data.draw(st.booleans()) else st.integers(0, 200_000)
    removed = data.draw(st.lists(few, max_size=60))
    ids = data.draw(st.lists(few, max_size=40))
    for _ in range(data.draw(st.integers(0, 3))):
        begin = data.draw(st.integers(0, max(0, len(removed) - 1)))
        ids += removed[begin : begin + data.draw(st.integers(0, 40))] + data.draw(st.lists(few, max_size=5))
    kind = data.draw(st.sampled_from([np.uint16, np.uint32])) if max([*ids, *removed, 0]) < 1 << 16 else np.uint32
    wanted = GramSet(gram_hashes(np.array(removed, np.uint32)))
    found = [tuple(one) for one in runs_in(np.array(ids, kind), wanted)]
    assert found == plain(ids, removed)


def test_runs_over_the_border_of_a_block(monkeypatch):
    from winnow.stages.removals import standing

    monkeypatch.setattr(standing, "_BLOCK", 64)
    rng = np.random.default_rng(3)
    ids = rng.integers(0, 50_000, 300).astype(np.uint32)
    for begin, end in ((40, 90), (48, 64), (63, 79), (64, 80), (10, 290)):
        wanted = GramSet(gram_hashes(ids[begin:end]))
        assert [tuple(one) for one in runs_in(ids, wanted)] == [(begin, end)]
    assert list(runs_in(ids, GramSet(np.empty(0, np.uint64)))) == []
    assert list(runs_in(ids[:5], GramSet(gram_hashes(ids)))) == []


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_parts_change_nothing(data):
    few = st.integers(0, 2) if data.draw(st.booleans()) else st.integers(0, 200_000)
    removed = data.draw(st.lists(few, min_size=20, max_size=60))
    ids = np.array(data.draw(st.lists(few, max_size=40)) + removed + data.draw(st.lists(few, max_size=40)), np.uint32)
    wanted = GramSet(gram_hashes(np.array(removed, np.uint32)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(ids)), max_size=9)))
    found = [(at, at + len(run), run.tolist()) for at, run in runs_in_parts(np.split(ids, cuts), wanted)]
    assert found == [(begin, end, ids[begin:end].tolist()) for begin, end in runs_in(ids, wanted)]


def test_passages_over_the_border_of_a_shard(monkeypatch):
    """Rows of two shards hold a passage; each unit reads the first row of the next shard, too."""
    from types import SimpleNamespace

    from winnow.engine.records import Unit
    from winnow.stages.removals import standing

    rng = np.random.default_rng(5)
    rows = rng.integers(0, 50_000, (4, 40)).astype(np.uint32)
    wanted = np.unique(gram_hashes(rows.reshape(-1)[60:100]))  # the last 20 tokens of one shard, 20 of the next
    monkeypatch.setattr(standing, "read_ipc", lambda *_: None)
    monkeypatch.setattr(standing, "column_to_numpy", lambda *_: wanted)
    shards = {f"f/{n}": SimpleNamespace(rows=rows[2 * n : 2 * n + 2]) for n in range(2)}
    monkeypatch.setattr(standing, "read_shard_parts", lambda _store, path, *_: [shards[path]])
    monkeypatch.setattr(
        standing, "read_shard", lambda _store, path, *_, whole_rows: SimpleNamespace(rows=shards[path].rows[:1])
    )
    written = []
    monkeypatch.setattr(standing, "_write", lambda _workspace, *columns: written.append(columns))
    workspace = SimpleNamespace(store=None, settings={"row_tokens": 40, "dtype": "uint32", "separator": None})
    workspace.metadata, workspace.count = {}, lambda *_: None
    for shard, after in (("0", "1"), ("1", None)):
        entries = [{"path": shard, "rows": 2}, after and {"path": after}]
        inputs = {"folder": "f", "format": "parquet", "split": "train", "grams": {}}
        standing.run(Unit(0, {**inputs, "shard": entries[0], "next": entries[1]}), workspace)
    (row, _, ids), (other_row, _, other_ids) = written
    assert (row, other_row) == ([1], [0])
    assert ids[0].tolist() == rows.reshape(-1)[60:100].tolist()
    assert other_ids[0].tolist() == rows.reshape(-1)[80:100].tolist()
