"""Every row kind against plain Python: the same rows, and every token where the pieces say."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.row_reference import best_fit_decreasing, losses, taught_windows
from winnow.shards.packing.assemble import fill_rows, position_ids, text_mask, token_columns
from winnow.shards.packing.best_fit import pack_best_fit
from winnow.shards.packing.pieces import account, joined, permuted, rows_between
from winnow.shards.packing.windows import document_rows, document_windows, stream_losses, stream_windows

END = 999
LENGTHS = st.lists(st.integers(1, 30), max_size=40)
LONG = ["split", "truncate", "drop"]


def rows_of(pieces) -> list[list[tuple[int, int, int]]]:
    rows = [[] for _ in range(pieces.rows)]
    for document, start, length, row in zip(*(values.tolist() for values in pieces[:4]), strict=True):
        rows[row].append((document, start, length))
    return rows


def array(values) -> np.ndarray:
    return np.array(values, np.int64)


@settings(max_examples=300, deadline=None)
@given(LENGTHS, st.integers(1, 16), st.sampled_from(LONG))
def test_best_fit_makes_the_rows_of_the_plain_packer(tokens, row_tokens, long_documents):
    pieces = pack_best_fit(array(tokens), row_tokens, long_documents)
    expected = best_fit_decreasing(tokens, row_tokens, long_documents)
    assert sorted(rows_of(pieces)) == sorted(expected)
    assert (np.diff(pieces.row) >= 0).all()
    found = account(pieces, array(tokens))
    assert found == losses(expected, tokens)
    assert found["stream_tokens"] == found["row_tokens"] - found["repeated_tokens"] + found["dropped_tokens"]


def test_best_fit_of_many_documents_equals_the_plain_packer():
    rng = np.random.default_rng(4)
    tokens = np.clip(rng.lognormal(5, 1.2, 3000), 1, 9000).astype(np.int64)
    pieces = pack_best_fit(tokens, 513, "split")
    assert sorted(rows_of(pieces)) == sorted(best_fit_decreasing(tokens.tolist(), 513, "split"))


@settings(max_examples=200, deadline=None)
@given(LENGTHS, st.integers(1, 10), st.data())
def test_windows_over_the_stream_are_those_of_the_book(tokens, length, data):
    stride = data.draw(st.integers(1, length))
    stream = [(document, at) for document, count in enumerate(tokens) for at in range(count)]
    pairs = taught_windows(stream, length, stride)
    begins = np.cumsum(array(tokens)) - array(tokens)
    first = data.draw(st.integers(0, len(pairs)))
    last = data.draw(st.integers(first, len(pairs)))
    pieces = stream_windows(begins, array(tokens), length + 1, stride, first, last - first)
    found = [[(d, at) for d, start, n in row for at in range(start, start + n)] for row in rows_of(pieces)]
    assert [(row[:-1], row[1:]) for row in found] == pairs[first:last]
    all_rows = rows_of(stream_windows(begins, array(tokens), length + 1, stride, 0, len(pairs)))
    lost = stream_losses(begins, array(tokens), length + 1, stride, len(pairs))
    assert lost.items() <= losses(all_rows, tokens).items()


@settings(max_examples=200, deadline=None)
@given(LENGTHS, st.integers(1, 10), st.integers(1, 10))
def test_windows_over_documents_are_those_of_the_book(tokens, length, stride):
    pieces = document_windows(array(tokens), length + 1, stride)
    expected = [
        (document, pair)
        for document, count in enumerate(tokens)
        for pair in taught_windows(list(range(count)), length, stride)
    ]
    found = [(d, list(range(start, start + n))) for ((d, start, n),) in rows_of(pieces)]
    assert [(d, (row[:-1], row[1:])) for d, row in found] == expected
    assert account(pieces, array(tokens)) == losses(rows_of(pieces), tokens)


@given(LENGTHS, st.integers(1, 40))
def test_one_document_a_row(tokens, row_tokens):
    pieces = document_rows(array(tokens), row_tokens)
    expected = [[(document, 0, min(count, row_tokens))] for document, count in enumerate(tokens)]
    assert rows_of(pieces) == expected
    assert account(pieces, array(tokens)) == losses(expected, tokens)


@settings(max_examples=100, deadline=None)
@given(st.lists(LENGTHS, max_size=4), st.randoms(), st.data())
def test_groups_join_and_rows_move_as_a_whole(groups, random, data):
    packed = [pack_best_fit(array(tokens), 9, "split") for tokens in groups]
    shuffled = []
    for pieces in packed:
        order = random.sample(range(pieces.rows), pieces.rows)
        moved = permuted(pieces, array(order))
        assert rows_of(moved) == [rows_of(pieces)[row] for row in order]
        shuffled.append(moved)
    whole = joined(shuffled, [len(tokens) for tokens in groups])
    shift = np.cumsum([0, *(len(tokens) for tokens in groups)])
    expected = [
        [(d + shift[n], s, c) for d, s, c in row] for n, pieces in enumerate(shuffled) for row in rows_of(pieces)
    ]
    assert rows_of(whole) == expected
    first = data.draw(st.integers(0, whole.rows))
    last = data.draw(st.integers(first, whole.rows))
    assert rows_of(rows_between(whole, first, last)) == expected[first:last]


KINDS = {
    "best_fit": lambda tokens, row: pack_best_fit(tokens, row, "split"),
    "drop": lambda tokens, row: pack_best_fit(tokens, row, "drop"),
    "document": document_rows,
    "window": lambda tokens, row: document_windows(tokens, row, max(1, row // 3)),
    "stream": lambda tokens, row: stream_windows(
        np.cumsum(tokens) - tokens, tokens, row, 2, 0, max(0, (int(tokens.sum()) - row) // 2 + 1)
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 25), max_size=20), st.integers(2, 12), st.randoms(), st.data())
def test_rows_hold_the_tokens_of_their_pieces(kind, lengths, row_tokens, random, data):
    documents = [[n * 30 + i for i in range(length)] for n, length in enumerate(lengths)]
    pieces = KINDS[kind](array(lengths) + 1, row_tokens)
    order = random.sample(range(len(lengths)), len(lengths))  # the payload's order does not matter
    payload = np.array([token for n in order for token in documents[n]], np.uint16)
    starts = array([sum(lengths[m] for m in order[: order.index(n)]) for n in range(len(lengths))])
    cuts = sorted({0, len(payload), *data.draw(st.lists(st.integers(0, len(payload)), max_size=4))})
    stretches = [(first, payload[first:stop]) for first, stop in pairwise(cuts)]
    rows = fill_rows(stretches, starts, array(lengths), pieces, row_tokens, END, payload.dtype)
    assert rows.dtype == np.uint16
    offsets = np.concatenate([[0], np.cumsum(np.bincount(pieces.row, minlength=pieces.rows))]).astype(np.int64)
    sizes = pieces.length.astype(np.uint32)
    columns = token_columns(["position_ids", "loss_mask", "attention_mask"], sizes, offsets, row_tokens)
    for number, row in enumerate(rows_of(pieces)):
        expected = [([*documents[d], END])[start : start + n] for d, start, n in row]
        padding = row_tokens - sum(map(len, expected))
        assert rows[number].tolist() == [token for piece in expected for token in piece] + [END] * padding
        counted = [at for piece in expected for at in range(len(piece))] + list(range(padding))
        assert columns["position_ids"][number].tolist() == counted
        mask = [1] * (row_tokens - padding) + [0] * padding
        assert columns["loss_mask"][number].tolist() == columns["attention_mask"][number].tolist() == mask


def test_a_payload_cut_short_is_an_error():
    pieces = document_rows(array([4, 3]), 4)
    with pytest.raises(ValueError, match="holds 4 of the 5 ids"):
        fill_rows([(0, np.arange(4, dtype=np.uint16))], array([0, 3]), array([3, 2]), pieces, 4, END, np.dtype("u2"))


def test_positions_of_long_rows_take_four_bytes():
    sizes, offsets = np.array([70_000], np.uint32), array([0, 1])
    assert position_ids(sizes, offsets, 65_536 + 4_464).dtype == np.uint32
    assert position_ids(sizes, offsets, 70_000)[0, -1] == 69_999
    assert text_mask(sizes, offsets, 70_001)[0, -2:].tolist() == [1, 0]
