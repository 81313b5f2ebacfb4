"""Where documents stand in a shard's flat token payload: what every index of documents is written from."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.shards.packed_rows import PackedRows


class Documents(NamedTuple):
    """Documents of a payload, in order; what lies between two of them, or behind the last, is padding."""

    starts: NDArray[np.int64]
    """int64[D], place of the first token."""
    ends: NDArray[np.int64]
    """int64[D], place behind the last token."""


def documents_of(packed: PackedRows, document_separator: int | None) -> Documents:
    """Documents of the rows laid end to end.

    Args:
        packed: the rows.
        joined_by: None: every piece is a document. An end-of-text id: rows are one stream, so a piece that reaches the
            end of its row without end-of-text goes on in the next row, and both are one document.
    """
    lengths = packed.pieces.astype(np.int64)
    row_tokens = packed.rows.shape[1]
    row = np.repeat(np.arange(len(packed.rows)), np.diff(packed.offsets))
    reached = np.concatenate([[0], np.cumsum(lengths)])
    starts = row * row_tokens + reached[:-1] - reached[packed.offsets[:-1]][row]
    ends = starts + lengths
    if document_separator is None or len(starts) == 0:
        return Documents(starts, ends)
    flat = packed.rows.reshape(-1)
    goes_on = (ends[:-1] == starts[1:]) & (starts[1:] % row_tokens == 0) & (flat[ends[:-1] - 1] != document_separator)
    return Documents(starts[np.concatenate([[True], ~goes_on])], ends[np.concatenate([~goes_on, [True]])])


def pieces_of(documents: Documents, rows: int, row_tokens: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The inverse: documents cut at the rows' ends.

    Args:
        documents: of the payload.
        rows: R.
        row_tokens: L.

    Returns:
        piece lengths uint32[P] and offsets int64[R + 1] into them, as in :class:`PackedRows`.
    """
    first, last = documents.starts // row_tokens, (documents.ends - 1) // row_tokens
    cuts = last - first + 1
    of = np.repeat(np.arange(len(cuts)), cuts)
    row = first[of] + np.arange(len(of)) - np.repeat(np.cumsum(cuts) - cuts, cuts)
    begin = np.maximum(documents.starts[of], row * row_tokens)
    end = np.minimum(documents.ends[of], (row + 1) * row_tokens)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=rows))])
    return (end - begin).astype(np.uint32), offsets
