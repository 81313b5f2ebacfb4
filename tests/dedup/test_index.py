"""Documents of earlier runs: their numbers, the keys that meet theirs, and the groups that splits are drawn by."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from winnow.dedup.index import (
    first_of_each,
    indexed_documents,
    is_indexed,
    meeting,
    member_groups,
    own_groups,
    split_indexed_document,
)
from winnow.shards.order import draw_splits

KEYS = st.lists(st.integers(0, 60), unique=True, max_size=40).map(lambda keys: np.array(sorted(keys), np.uint64))


def test_numbers_tell_part_and_row_and_are_no_number_of_this_run():
    docs = indexed_documents(5, np.array([0, 7, 2**32 - 1], np.uint32))
    assert [split_indexed_document(int(doc)) for doc in docs] == [(5, 0), (5, 7), (5, 2**32 - 1)]
    assert is_indexed(docs).all()
    assert not is_indexed(np.array([0, (1 << 63) - 1], np.uint64)).any()


def keys_of(*keys: int) -> np.ndarray:
    return np.array(keys, np.uint64)


@example(keys_of(9), keys_of(1, 5, 9))  # the last of the longer list
@example(keys_of(1, 5, 9), keys_of(9))
@example(keys_of(10), keys_of(1, 5, 9))
@example(keys_of(0, 1, 10), keys_of(5))
@given(KEYS, KEYS)
def test_keys_that_meet(wanted, keys):
    assert keys[meeting(wanted, keys)].tolist() == sorted(set(wanted.tolist()) & set(keys.tolist()))


@given(st.lists(st.integers(0, 5), max_size=20).map(sorted))
def test_the_first_of_each_key(keys):
    assert first_of_each(np.array(keys, np.uint64)).tolist() == [keys.index(key) for key in dict.fromkeys(keys)]


def test_the_same_row_of_two_nights_goes_to_splits_of_its_own():
    docs = np.arange(4000, dtype=np.uint64)
    assert own_groups(docs, 0).tolist() == docs.tolist()  # a first night has the splits of a run without an index
    splits = [draw_splits(own_groups(docs, segment), np.array([0.5]), 7) for segment in range(3)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert 0.45 < (splits[one] == splits[other]).mean() < 0.55


def test_a_component_goes_where_its_earliest_document_of_an_earlier_run_went():
    early, late = indexed_documents(0, np.array([3], np.uint32))[0], indexed_documents(2, np.array([1], np.uint32))[0]
    docs = np.array([10, late, 11, early, 12, 20, 21], np.uint64)
    component = np.array([10, 10, 10, 10, 10, 20, 20], np.uint64)
    stored = np.array([0, 222, 0, 111, 0, 0, 0], np.uint64)
    groups = member_groups(docs, component, stored, 4)
    assert groups.tolist() == [111] * 5 + own_groups(np.array([20, 20], np.uint64), 4).tolist()
    alone = member_groups(docs[5:], component[5:], stored[5:], 4)
    assert alone.tolist() == groups[5:].tolist()
