import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.tokens.packing import gather_documents, pack_rows

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
    packed, pieces, offsets = pack_rows(
        payload,
        np.array([starts[n] for n in chosen], np.int64),
        np.array([lengths[n] for n in chosen], np.int64),
        int(ends[chosen[0]] - lengths[chosen[0]] - 1 - begin),
        end - begin,
        row_tokens,
        END,
    )
    flat = packed.reshape(-1)
    assert flat[: end - begin].tolist() == stream[begin:end]
    assert (flat[end - begin :] == END).all()
    for row in range(last - first):
        owned = owners[begin + row * row_tokens : min(begin + (row + 1) * row_tokens, end)]
        expected = [owned.count(n) for n in dict.fromkeys(owned)]
        assert pieces[offsets[row] : offsets[row + 1]].tolist() == expected


def test_too_few_documents_are_an_error():
    with pytest.raises(ValueError, match="fill stream positions 0 to 3, but the window needs 0 to 5"):
        pack_rows(np.arange(2, dtype=np.uint16), np.array([0]), np.array([2]), 0, 5, 4, END)


def test_gather_puts_documents_in_the_order_given():
    payload = np.arange(10, dtype=np.uint16)
    assert gather_documents(payload, np.array([7, 0, 3]), np.array([3, 2, 0])).tolist() == [7, 8, 9, 0, 1]
