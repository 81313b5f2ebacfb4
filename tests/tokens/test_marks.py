"""Marks travel with ids and come off again."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from winnow.tokens.marks import mark_ends, split_marks, with_marks


@given(st.lists(st.tuples(st.integers(0, 2**31 - 1), st.booleans()), max_size=40))
def test_ids_and_marks_come_back(tokens):
    ids = np.array([token for token, _ in tokens], np.uint32)
    marks = np.array([mark for _, mark in tokens], np.uint8)
    found = split_marks(with_marks(ids, marks), np.dtype(np.uint32))
    assert [a.tolist() for a in found] == [ids.tolist(), marks.tolist()]


@given(ids=st.lists(st.integers(0, 2**16 - 1), max_size=40))
def test_short_ids_come_back_short(ids):
    short = np.array(ids, np.uint16)
    found, marks = split_marks(with_marks(short, np.ones(len(ids), np.uint8)), np.dtype(np.uint16))
    assert found.dtype == np.uint16
    assert found.tolist() == ids
    assert marks.all()


@given(rows=st.lists(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=4), min_size=1, max_size=5))
def test_the_last_tokens_of_the_chosen_pieces_are_marked(rows):
    expected = np.zeros((len(rows), 16), np.uint32)
    for number, pieces in enumerate(rows):
        at = 0
        for length, marked in pieces:
            at += length
            expected[number, at - 1] = marked << 31
    lengths = np.array([length for pieces in rows for length, _ in pieces], np.uint32)
    ends = np.array([marked for pieces in rows for _, marked in pieces], bool)
    found = np.zeros_like(expected)
    mark_ends(found, lengths, np.cumsum([0, *map(len, rows)]), ends)
    assert found.tolist() == expected.tolist()
