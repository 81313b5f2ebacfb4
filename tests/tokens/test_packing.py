from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.shards.packing.stream import gather_documents, pack_rows

END = 99


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=20), st.integers(1, 9), st.data())
def test_any_window_equals_the_same_cut_of_the_whole_stream(lengths, row_tokens, data):
    documents = [[n * 20 % 90 + i for i in range(length)] for n, length in enumerate(lengths)]
    stream = [token for document in documents for token in [*document, END]]
    owners = [n for n, document in enumerate(documents) for _ in range(len(document) + 1)]
    rows = -(-len(stream) // row_tokens)
    first = data.draw(st.integers(0, rows - 1))
    last = data.draw(st.integers(first + 1, rows))
    begin, end = first * row_tokens, min(last * row_tokens, len(stream))

    order = data.draw(st.permutations(range(len(documents))))  # payload order does not matter
    payload = np.array([t for n in order for t in documents[n]], np.uint32)
    starts = {n: sum(len(documents[m]) for m in order[: order.index(n)]) for n in order}
    ends = np.cumsum([n + 1 for n in lengths])
    chosen = [n for n in range(len(documents)) if ends[n] > begin and ends[n] - lengths[n] - 1 < end]
    cuts = sorted({0, len(payload), *data.draw(st.lists(st.integers(0, len(payload)), max_size=4))})
    packed, pieces, offsets = pack_rows(
        [(first, payload[first:stop]) for first, stop in pairwise(cuts)],
        np.array([starts[n] for n in chosen], np.int64),
        np.array([lengths[n] for n in chosen], np.int64),
        int(ends[chosen[0]] - lengths[chosen[0]] - 1 - begin),
        end - begin,
        row_tokens,
        END,
        payload.dtype,
    )
    flat = packed.reshape(-1)
    assert flat[: end - begin].tolist() == stream[begin:end]
    assert (flat[end - begin :] == END).all()
    for row in range(last - first):
        owned = owners[begin + row * row_tokens : min(begin + (row + 1) * row_tokens, end)]
        expected = [owned.count(n) for n in dict.fromkeys(owned)]
        assert pieces[offsets[row] : offsets[row + 1]].tolist() == expected


def pack_two(payload, lengths, tokens):
    stretches = [(0, np.array(payload, np.uint16))]
    return pack_rows(stretches, np.array([0]), np.array(lengths), 0, tokens, 4, END, np.dtype(np.uint16))


def test_too_few_documents_are_an_error():
    with pytest.raises(ValueError, match="fill stream positions 0 to 3, but the window needs 0 to 5"):
        pack_two([0, 1], [2], 5)


def test_a_payload_cut_short_is_an_error():
    with pytest.raises(ValueError, match="the payload holds 2 of the 3 ids"):
        pack_two([0, 1], [3], 4)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 30), st.randoms())
def test_gather_puts_documents_in_the_order_given_whatever_the_stretches(lengths, stretch_bytes, random):
    payload = np.arange(sum(lengths), dtype=np.uint16)
    documents = [range(sum(lengths[:n]), sum(lengths[: n + 1])) for n in range(len(lengths))]
    random.shuffle(documents)
    starts = np.array([document.start for document in documents], np.int64)
    sizes = np.array([len(document) for document in documents], np.int64)
    stretches = [stretch.tolist() for stretch in gather_documents(payload, starts, sizes, stretch_bytes)]
    assert [i for stretch in stretches for i in stretch] == [i for document in documents for i in document]
    assert all(len(stretch) <= max(1, stretch_bytes // 2) for stretch in stretches)
