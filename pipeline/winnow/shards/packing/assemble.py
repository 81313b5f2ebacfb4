"""From pieces to rows: ids, piece lengths, and the columns that follow from them.

Legend: N documents, P pieces, R rows, L tokens a row.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.shards.packing.pieces import Numbers, Pieces

TOKEN_COLUMNS = ("attention_mask", "loss_mask", "position_ids")
"""Columns with one number a token."""


def column_bytes(names: Iterable[str], row_tokens: int) -> int:
    """Bytes a token of the columns asked for; others than :data:`TOKEN_COLUMNS` do not count."""
    position = 2 if row_tokens <= 1 << 16 else 4
    counted = (*TOKEN_COLUMNS, "token_type_ids")
    return sum(position if name == "position_ids" else 1 for name in names if name in counted)


@kernel
def _copy(ids, first, starts, ends, places, out):  # type: ignore[no-untyped-def]
    """Copy the parts of ids[first:] that pieces want to where they belong; returns how many ids."""
    copied = 0
    stop = first + len(ids)
    for n in range(len(starts)):
        begin = max(starts[n], first)
        end = min(ends[n], stop)
        if begin < end:
            at = places[n] + begin - starts[n]
            out[at : at + end - begin] = ids[begin - first : end - first]
            copied += end - begin
    return copied


def fill_rows(
    stretches: Iterable[tuple[int, NDArray[Any]]],
    source_starts: Numbers,
    lengths: Numbers,
    pieces: Pieces,
    row_tokens: int,
    end_of_text: int,
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    """Ids of all rows.

    Args:
        stretches: place of the first id in the payload and the ids from there on, rising; each is done with when the
            next is asked for.
        source_starts: int64[N], where each document's ids begin in the payload.
        lengths: int64[N], ids of each document, without end-of-text.
        pieces: of these documents. Pieces of a document may overlap, but none may lie inside another.
        row_tokens: L.
        end_of_text: id after each document, and padding.
        dtype: of the ids.

    Returns:
        ids[R, L].

    Raises:
        ValueError: the stretches do not hold all ids.
    """
    flat = np.full(pieces.rows * row_tokens, end_of_text, dtype)
    before = np.cumsum(pieces.length) - pieces.length
    row_begin = before[np.searchsorted(pieces.row, pieces.row)] if len(before) else before
    places = pieces.row * row_tokens + before - row_begin
    starts = source_starts[pieces.document] + pieces.start
    ends = np.minimum(starts + pieces.length, (source_starts + lengths)[pieces.document])  # without the end-of-text
    order = np.lexsort((ends, starts))
    order = order[starts[order] < ends[order]]
    starts, ends, places = starts[order], ends[order], places[order]
    copied = 0
    for first, ids in stretches:
        low = np.searchsorted(ends, first, side="right")
        high = np.searchsorted(starts, first + len(ids), side="left")
        copied += _copy(ids, first, starts[low:high], ends[low:high], places[low:high], flat)
    if copied != (expected := int((ends - starts).sum())):
        raise ValueError(f"the payload holds {copied} of the {expected} ids that the rows need")
    return flat.reshape(pieces.rows, row_tokens)


@kernel
def _positions(lengths, offsets, out):  # type: ignore[no-untyped-def]
    for row in range(out.shape[0]):
        at = 0
        for piece in range(offsets[row], offsets[row + 1]):
            for position in range(lengths[piece]):
                out[row, at + position] = position
            at += lengths[piece]
        for position in range(out.shape[1] - at):
            out[row, at + position] = position


def position_ids(lengths: NDArray[np.uint32], offsets: Numbers, row_tokens: int) -> NDArray[Any]:
    """Position of each token in its piece: uint16[R, L], uint32 for rows of more than 65,536 tokens.

    Padding counts from 0 as one more piece, so that whoever cuts a row where positions are 0 gets it as one.

    Args:
        lengths: uint32[P], of the pieces.
        offsets: int64[R + 1] into them.
        row_tokens: L.
    """
    out = np.empty((len(offsets) - 1, row_tokens), f"u{column_bytes(['position_ids'], row_tokens)}")
    _positions(lengths.astype(np.int64), offsets, out)
    return out


def text_mask(lengths: NDArray[np.uint32], offsets: Numbers, row_tokens: int) -> NDArray[np.uint8]:
    """uint8[R, L]: 1 where a piece stands, 0 on padding. Arguments as in :func:`position_ids`."""
    sums = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    held = np.diff(sums[offsets])
    return (np.arange(row_tokens) < held[:, None]).view(np.uint8)


def token_columns(
    names: Iterable[str], lengths: NDArray[np.uint32], offsets: Numbers, row_tokens: int
) -> dict[str, NDArray[Any]]:
    """The columns asked for, of :data:`TOKEN_COLUMNS`. Arguments as in :func:`position_ids`."""
    columns: dict[str, NDArray[Any]] = {}
    for name in names:
        make = position_ids if name == "position_ids" else text_mask
        columns[name] = make(lengths, offsets, row_tokens)
    return columns
