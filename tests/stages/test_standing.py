"""Passages of removed documents in tokens of others, against a search in plain Python."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.stages.removals.standing import GRAM, GramSet, gram_hashes, runs_in


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
