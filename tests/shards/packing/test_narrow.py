"""Token ids in three bytes: what Python's own int.to_bytes gives, and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.shards.packing.narrow import NARROW, narrowed, widened

ids_of = st.lists(st.one_of(st.integers(0, (1 << 24) - 1), st.sampled_from([0, 255, 256, 65_535, 65_536])), max_size=40)


@settings(max_examples=100, deadline=None)
@given(st.lists(ids_of, max_size=4))
def test_three_bytes_an_id_and_back(stretches):
    arrays = [np.array(ids, np.uint32) for ids in stretches]
    stored = [stretch.copy() for stretch in narrowed(arrays)]
    assert all(stretch.dtype == NARROW for stretch in stored)
    expected = [b"".join(number.to_bytes(3, "little") for number in ids) for ids in stretches]
    assert [stretch.tobytes() for stretch in stored] == expected
    back = [(at, ids.copy()) for at, ids in widened(enumerate(stored))]
    assert [at for at, _ in back] == list(range(len(arrays)))
    for (_, ids), given_ids in zip(back, arrays, strict=True):
        np.testing.assert_array_equal(ids, given_ids)
        assert ids.dtype == np.uint32


def test_a_larger_id_is_refused():
    with pytest.raises(ValueError, match="16,777,216"):
        list(narrowed([np.array([5, 1 << 24], np.uint32)]))
