"""Concat-and-chunk: documents in their global order, each ended by end-of-text, cut into rows of equal length.

Works on any window of the global token stream, so that a shard can be made without its neighbours.

Legend: N documents, T tokens of payload, R rows, L tokens a row.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel

TokenIds = NDArray[Any]
"""uint16[T] or uint32[T]."""
Stretch = tuple[int, TokenIds]
"""Place of the first id in the whole payload, and the ids from there on."""
STRETCH_BYTES = 1 << 20
"""Ids moved at a time: what is read is still in the processor's cache when it is copied, hashed or written."""


@kernel
def _copy_documents(source, source_first, source_starts, lengths, places, out):  # type: ignore[no-untyped-def]
    """Copy what lies in ``source`` (items from source_first on) to where it belongs in ``out``; returns how many."""
    copied = 0
    for n in range(len(lengths)):
        move = places[n] - source_starts[n]
        begin = max(source_starts[n], source_first, -move)
        end = min(source_starts[n] + lengths[n], source_first + len(source), len(out) - move)
        if begin < end:
            out[begin + move : end + move] = source[begin - source_first : end - source_first]
            copied += end - begin
    return copied


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
    stretches: Iterable[Stretch],
    source_starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    first_token: int,
    tokens: int,
    row_tokens: int,
    end_of_text: int,
    dtype: np.dtype[Any],
) -> tuple[TokenIds, NDArray[np.uint32], NDArray[np.int64]]:
    """Rows of one window of the stream.

    Args:
        stretches: the payload, the ids of the documents in any order, stretch by stretch; a stretch is done with when
            the next is asked for.
        source_starts: int64[N], where each document, in global order, begins in the payload; documents do not overlap
            there. A document cut by the window's start still counts from its first token.
        lengths: int64[N], ids of each document, without end-of-text.
        first_token: position of the first document's first token relative to the window (0 or negative).
        tokens: stream tokens in the window (end-of-text included); the last row is padded if it is not full.
        row_tokens: L.
        end_of_text: id written after each document, and as padding.
        dtype: of the ids.

    Returns:
        rows ids[R, L]; piece lengths uint32[P] (end-of-text included, padding not), row after row; offsets
        int64[R + 1] into them. Padding is what a row's pieces do not cover.

    Raises:
        ValueError: the documents do not fill the window, or the stretches do not hold all of them.
    """
    num_rows = -(-tokens // row_tokens)
    places = first_token + np.cumsum(lengths + 1) - lengths - 1
    ends = places + lengths
    reached = int(ends[-1]) + 1 if len(ends) else first_token
    if reached < tokens or first_token > 0:
        raise ValueError(
            f"the documents given fill stream positions {first_token} to {reached}, but the window needs 0 to {tokens}"
        )
    flat = np.empty(num_rows * row_tokens, dtype)
    flat[ends[(ends >= 0) & (ends < tokens)]] = end_of_text
    flat[tokens:] = end_of_text
    expected = int((np.minimum(ends, tokens) - np.clip(places, 0, tokens)).clip(0).sum())
    copied = place_documents(stretches, source_starts, lengths, places, flat[:tokens])
    if copied != expected:
        raise ValueError(f"the payload holds {copied} of the {expected} ids that the window needs")
    counts = np.zeros(num_rows, np.int64)
    pieces = np.empty(len(lengths) + num_rows, np.uint32)
    used = _row_lengths(lengths, first_token, tokens, row_tokens, counts, pieces)
    return flat.reshape(num_rows, row_tokens), pieces[:used], np.concatenate([[0], np.cumsum(counts)])


def place_documents(
    stretches: Iterable[Stretch],
    source_starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    out: TokenIds,
) -> int:
    """Copy every document's ids from the stretches to its place; returns how many ids."""
    filled = np.flatnonzero(lengths)
    order = filled[np.argsort(source_starts[filled])]
    starts, lengths, places = source_starts[order], lengths[order], places[order]
    ends = starts + lengths
    copied = 0
    for first, ids in stretches:
        low = np.searchsorted(ends, first, side="right")
        high = np.searchsorted(starts, first + len(ids), side="left")
        copied += _copy_documents(ids, first, starts[low:high], lengths[low:high], places[low:high], out)
    return copied


def gather_documents(
    payload: TokenIds, starts: NDArray[np.int64], lengths: NDArray[np.int64], stretch_bytes: int = STRETCH_BYTES
) -> Iterator[TokenIds]:
    """The documents' ids one after another, in the order given, stretch by stretch in one buffer that is used again.

    Args:
        payload: ids[T].
        starts: int64[N], where each document begins in ``payload``.
        lengths: int64[N].
        stretch_bytes: size of the buffer; the ids do not depend on it.
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    places = ends - lengths
    total = int(ends[-1]) if len(ends) else 0
    size = max(1, stretch_bytes // payload.itemsize)
    buffer = np.empty(min(size, total), payload.dtype)
    for first in range(0, total, size):
        out = buffer[: total - first]
        low = np.searchsorted(ends, first, side="right")
        high = np.searchsorted(places, first + len(out), side="left")
        _copy_documents(payload, 0, starts[low:high], lengths[low:high], places[low:high] - first, out)
        yield out
