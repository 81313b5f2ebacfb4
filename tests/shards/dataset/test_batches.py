"""What a batch is made of, beside plain loops, and the memory it is made in."""

import resource
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.shards.dataset.batches import IGNORE, _leave_out_padding, _masked, _write_positions, keep_freed_memory

ROWS = st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=1, max_size=6)


@given(ROWS, st.sampled_from([0, 1, 6, 300]), st.integers(0, 1), st.sampled_from(["int32", "int64"]))
def test_positions_begin_again_behind_each_piece(rows, padding, shift, dtype):
    length = max(map(sum, rows)) + padding + 1
    seen = length - shift or 1
    ends = np.array([np.cumsum(row + [0] * (5 - len(row))) for row in rows], np.uint32).T
    positions = np.full((len(rows) + 1, seen), 77, dtype)  # one row more than there are: an empty one
    _write_positions(positions, ends)
    for row, found in zip([*rows, []], positions, strict=True):
        expected = [place for size in (*row, length - sum(row)) for place in range(size)]
        assert found.tolist() == expected[:seen]


@pytest.mark.parametrize("width", [5, 2000])
@given(st.data())
def test_what_is_not_learned(width, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    ids = rng.integers(0, 60_000, (4, width))
    mask = rng.integers(0, data.draw(st.integers(1, 3)), ids.shape)
    for dtype in (np.uint16, np.uint32):
        for kind in (np.uint8, np.int8, np.uint32, np.float32):
            assert np.array_equal(_masked(ids.astype(dtype), mask.astype(kind)), np.where(mask, ids, IGNORE))
    assert np.array_equal(_masked(ids.astype(np.uint32), -mask), np.where(mask, ids, IGNORE))
    ends = rng.integers(-1, width + 1, 4)
    for dtype in (np.int32, np.int64):
        labels = ids.astype(dtype)
        _leave_out_padding(labels, ends)
        assert np.array_equal(labels, np.where(np.arange(width) < ends[:, None], ids, IGNORE))


@pytest.mark.skipif(sys.platform != "linux", reason="what glibc's malloc keeps")
def test_memory_of_batches_is_used_again():
    """Else every page of every batch is a page fault, which took longer than filling it."""
    keep_freed_memory()

    def faults(batches):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(batches):
            [np.ones((512, 128), np.int64) for _ in range(3)]  # 1.5 MB, or 384 pages
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults(5)
    assert faults(50) < 50 * 384 / 10
