"""The inverted index against sets in plain Python: every pair, every count, every figure."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from winnow.audit.exact_search import SetIndex, Sets, join_sets, sets_of, take_sets
from winnow.audit.intervals import share_of

ELEMENTS = {np.uint32: [0, 1, 7, 2**31, 2**32 - 1], np.uint64: [0, 1, 2**32, 2**63, 2**64 - 1]}


def as_sets(lists: list[list[int]], kind) -> Sets:
    offsets = np.concatenate([[0], np.cumsum([len(items) for items in lists])]).astype(np.int64)
    return sets_of(np.array([item for items in lists for item in items], kind), offsets)


def brute_force(indexed: list[list[int]], others: list[list[int]], floor: float) -> dict:
    found = {}
    for i, a in enumerate(indexed):
        for row, b in enumerate(others):
            common, union = len(set(a) & set(b)), len(set(a) | set(b))
            if common and common / union >= floor:
                found[i, row] = (common, common / union)
    return found


def searched(index: SetIndex, sets: Sets, floor: float) -> dict:
    found = {}
    for pairs in index.search(sets, floor):
        for i, row, common, similarity in zip(*(column.tolist() for column in pairs), strict=True):
            assert (i, row) not in found
            found[i, row] = (common, similarity)
    return found


documents = st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=8)


@pytest.mark.parametrize("kind", [np.uint32, np.uint64])
@given(documents, documents, st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_pair_is_found(kind, indexed, others, floor, far_apart):
    if far_apart:  # the same sets with elements at the ends of the range
        spread = ELEMENTS[kind] + [2**20 * n for n in range(2, 40)]
        indexed = [[spread[item] for item in items] for items in indexed]
        others = [[spread[item] for item in items] for items in others]
    index = SetIndex(as_sets(indexed, kind))
    assert searched(index, as_sets(others, kind), floor) == brute_force(indexed, others, floor)


def test_more_pairs_than_fit_in_one_piece(monkeypatch):
    monkeypatch.setattr("winnow.audit.exact_search._ROOM", 1)
    indexed = [[0, 1 + n // 4] for n in range(40)]
    others = [items for n in range(10) for items in ([1 + n], [0])]  # 4 pairs, 40 pairs, and so on
    index = SetIndex(as_sets(indexed, np.uint32))
    pieces = list(index.search(as_sets(others, np.uint32), 0.0))
    assert len(pieces) > 5
    assert max(len(pairs.row) for pairs in pieces) <= 40
    assert searched(index, as_sets(others, np.uint32), 0.0) == brute_force(indexed, others, 0.0)


def test_an_index_of_other_elements_is_refused():
    with pytest.raises(ValueError, match="uint32"):
        list(SetIndex(as_sets([[1]], np.uint32)).search(as_sets([[1]], np.uint64), 0.0))


@given(documents)
def test_sets_are_sorted_distinct_and_can_be_taken_apart(lists):
    sets = as_sets(lists, np.uint32)
    assert [sets.of(n).tolist() for n in range(len(lists))] == [sorted(set(items)) for items in lists]
    rows = np.arange(len(lists))[::-1]
    taken = take_sets(sets, rows)
    assert [taken.of(n).tolist() for n in range(len(lists))] == [sorted(set(items)) for items in lists[::-1]]
    both = join_sets([sets, taken])
    expected = [sorted(set(items)) for items in [*lists, *lists[::-1]]]
    assert [both.of(n).tolist() for n in range(len(expected))] == expected


@given(st.integers(1, 5000), st.data())
def test_intervals_are_those_of_scipy(of, data):
    hits = data.draw(st.integers(0, of))
    expected = binomtest(hits, of).proportion_ci(0.95, method="wilson")
    share = share_of(hits, of)
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert share.low <= share.share <= share.high


def test_a_share_of_nothing_says_so():
    assert share_of(0, 0).share is None
