"""Shingle sets against Python's own sets."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.dedup.shingle_sets import shingle_sets
from winnow.dedup.shingles import shingle_hashes


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.lists(st.integers(0, 3), max_size=30), st.lists(st.integers(0, 1 << 63), min_size=45, max_size=300)
        ),
        max_size=12,
    ),
    st.integers(1, 6),
)
def test_sets_equal_pythons(documents, ngram):
    """Of short documents, which are put in order one by one, and of long ones, which are sorted."""
    words = np.array([word for document in documents for word in document], np.uint64)
    offsets = np.concatenate([[0], np.cumsum([len(document) for document in documents])]).astype(np.int64)
    values, starts = shingle_sets(words, offsets, ngram)
    assert values.dtype == np.uint32 and len(starts) == len(documents) + 1
    shingles, begins = shingle_hashes(words, offsets, ngram)
    for number in range(len(documents)):
        expected = sorted(set(shingles[begins[number] : begins[number + 1]].tolist()))
        assert values[starts[number] : starts[number + 1]].tolist() == expected
    assert starts[-1] == len(values)
