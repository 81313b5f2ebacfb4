"""What a batch is made of, beside plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.shards.dataset.batches import IGNORE, _leave_out, _leave_out_padding, _write_lens, _write_positions

ROWS = st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=1, max_size=6)


@given(ROWS, st.integers(0, 6), st.integers(0, 1), st.sampled_from(["int32", "int64"]))
def test_positions_and_lengths_of_pieces(rows, padding, shift, dtype):
    length = max(map(sum, rows)) + padding + 1
    seen = length - shift or 1
    lens = np.array([size for row in rows for size in row], np.uint32)
    counts = np.array([len(row) for row in rows])
    positions = np.full((len(rows) + 1, seen), 77, dtype)  # one row more than there are: an empty one
    _write_positions(positions, lens, counts)
    pieces = np.zeros((len(rows), 5), dtype)
    _write_lens(pieces, lens, counts, seen)
    for row, found, written in zip([*rows, []], positions, [*pieces, np.zeros(5)], strict=True):
        expected = [place for size in (*row, length - sum(row)) for place in range(size)]
        assert found.tolist() == expected[:seen]
        ends = np.minimum(np.cumsum([0, *row]), seen)
        assert written[: len(row)].tolist() == np.diff(ends).tolist()


@pytest.mark.parametrize("width", [5, 2000])
@given(st.data())
def test_what_is_not_learned(width, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    ids = rng.integers(0, 200_000, (4, width))
    ends = rng.integers(-1, width + 2, 4)
    keep = rng.integers(0, 2, ids.shape).astype(bool)
    for dtype in (np.int32, np.int64):
        labels = ids.astype(dtype)
        _leave_out(labels, keep)
        assert np.array_equal(labels, np.where(keep, ids, IGNORE))
        labels = np.concatenate([ids, ids[:1]]).astype(dtype)  # a row more than there are: left alone
        _leave_out_padding(labels, ends)
        assert np.array_equal(labels[:4], np.where(np.arange(width) < ends[:, None], ids, IGNORE))
        assert np.array_equal(labels[4], ids[0])
