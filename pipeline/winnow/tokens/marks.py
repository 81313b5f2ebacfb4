"""A mark on each token: one bit that travels with the id from the tokeniser to the rows.

It is the top bit of a uint32, which no id reaches. Rows get it as a column of its own: ``loss_mask`` (the assistant's
tokens) or ``token_type_ids`` (the second text of a pair).

Legend: N documents, T tokens, P pieces, R rows, L tokens a row.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MARK = np.uint32(1 << 31)


def with_marks(ids: NDArray[Any], marks: NDArray[Any]) -> NDArray[np.uint32]:
    """uint32[T] of ids [T] below 2^31 and marks [T], 0 or 1."""
    return ids.astype(np.uint32) | (marks.astype(np.uint32) << np.uint32(31))


def split_marks(values: NDArray[np.uint32], dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Ids of ``dtype`` and marks uint8, of the shape of ``values``."""
    return (values & ~MARK).astype(dtype), (values >> np.uint32(31)).astype(np.uint8)


def mark_ends(
    rows: NDArray[np.uint32], pieces: NDArray[np.uint32], offsets: NDArray[np.int64], ends: NDArray[Any]
) -> None:
    """Mark, in place, the last token of some pieces: where it is the end of a document that is marked itself.

    Args:
        rows: uint32[R, L].
        pieces: uint32[P], lengths.
        offsets: int64[R + 1] into them.
        ends: [P], 1 where the piece's last token gets the mark.
    """
    after = np.cumsum(pieces, dtype=np.int64)
    row = np.repeat(np.arange(len(rows)), np.diff(offsets))
    before_row = np.concatenate([[0], after])[offsets[:-1]]
    chosen = np.flatnonzero(ends)
    rows[row[chosen], (after - 1 - before_row[row])[chosen]] |= MARK
