"""Shingle sets against Python's own sets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.dedup import shingle_sets as module
from winnow.dedup.shingle_sets import shingle_sets
from winnow.dedup.shingles import shingle_hashes


@pytest.mark.parametrize("group", [1, 7, 1 << 20])
@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), max_size=30), max_size=12), st.integers(1, 6))
def test_sets_equal_pythons(group, documents, ngram):
    words = np.array([word for document in documents for word in document], np.uint64)
    offsets = np.concatenate([[0], np.cumsum([len(document) for document in documents])]).astype(np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_GROUP_SHINGLES", group)
        values, starts = shingle_sets(words, offsets, ngram)
    assert values.dtype == np.uint32 and len(starts) == len(documents) + 1
    shingles, begins = shingle_hashes(words, offsets, ngram)
    for number in range(len(documents)):
        expected = sorted(set(shingles[begins[number] : begins[number + 1]].tolist()))
        assert values[starts[number] : starts[number + 1]].tolist() == expected
    assert starts[-1] == len(values)
