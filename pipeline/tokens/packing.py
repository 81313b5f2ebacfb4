"""Concat-and-chunk: documents in their global order, each ended by end-of-text, cut into rows of equal length.

Works on any window of the global token stream, so that a shard can be made without its neighbours.

Legend: N documents, T tokens of payload, R rows, L tokens a row.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import kernel


@kernel
def _fill(payload, source_starts, lengths, first_token, end_of_text, out):  # type: ignore[no-untyped-def]
    """Write documents one after another; out[0] is stream position 0, document n begins at first_token + ..."""
    at = first_token
    for n in range(len(lengths)):
        begin = at if at > 0 else 0
        end = at + lengths[n]
        stop = end if end < len(out) else len(out)
        source = source_starts[n] + (begin - at)
        for i in range(begin, stop):
            out[i] = payload[source + i - begin]
        if 0 <= end < len(out):
            out[end] = end_of_text
        at = end + 1
    return at


@kernel
def _row_lengths(lengths, first_token, tokens, row_tokens, counts, out):  # type: ignore[no-untyped-def]
    """Lengths of the document pieces in each row; returns how many there are."""
    at = first_token
    pieces = 0
    for n in range(len(lengths)):
        begin = at if at > 0 else 0
        end = at + lengths[n] + 1
        stop = end if end < tokens else tokens
        while begin < stop:
            row = begin // row_tokens
            row_end = (row + 1) * row_tokens
            piece_end = stop if stop < row_end else row_end
            out[pieces] = piece_end - begin
            counts[row] += 1
            pieces += 1
            begin = piece_end
        at = end
    return pieces


def pack_rows(
    payload: NDArray[np.generic],
    source_starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    first_token: int,
    tokens: int,
    row_tokens: int,
    end_of_text: int,
) -> tuple[NDArray[np.generic], NDArray[np.uint32], NDArray[np.int64]]:
    """Rows of one window of the stream.

    Args:
        payload: ids[T] of the documents, in any order.
        source_starts: int64[N], where each document, in global order, begins in ``payload``. A document cut by the
            window's start still counts from its first token.
        lengths: int64[N], ids of each document, without end-of-text.
        first_token: position of the first document's first token relative to the window (0 or negative).
        tokens: stream tokens in the window (end-of-text included); the last row is padded if it is not full.
        row_tokens: L.
        end_of_text: id written after each document, and as padding.

    Returns:
        rows ids[R, L]; piece lengths uint32[P] (end-of-text included, padding not), row after row; offsets
        int64[R + 1] into them. Padding is what a row's pieces do not cover.

    Raises:
        ValueError: the documents do not fill the window.
    """
    num_rows = -(-tokens // row_tokens)
    flat = np.full(num_rows * row_tokens, end_of_text, payload.dtype)
    reached = _fill(payload, source_starts, lengths, first_token, payload.dtype.type(end_of_text), flat[:tokens])
    if reached < tokens or first_token > 0:
        raise ValueError(
            f"the documents given fill stream positions {first_token} to {reached}, but the window needs 0 to {tokens}"
        )
    counts = np.zeros(num_rows, np.int64)
    pieces = np.empty(len(lengths) + num_rows, np.uint32)
    used = _row_lengths(lengths, first_token, tokens, row_tokens, counts, pieces)
    return flat.reshape(num_rows, row_tokens), pieces[:used], np.concatenate([[0], np.cumsum(counts)])


@kernel
def _gather(payload, starts, lengths, out):  # type: ignore[no-untyped-def]
    at = 0
    for n in range(len(starts)):
        source = starts[n]
        for i in range(lengths[n]):
            out[at + i] = payload[source + i]
        at += lengths[n]


def gather_documents(
    payload: NDArray[np.generic], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.generic]:
    """The documents' ids one after another, in the order given: ids[sum of lengths]."""
    out = np.empty(int(lengths.sum()), payload.dtype)
    _gather(payload, starts, lengths, out)
    return out
