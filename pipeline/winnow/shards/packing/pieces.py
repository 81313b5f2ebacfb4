"""Pieces: which part of which document stands where in which row, and what that leaves out.

A document's tokens are its ids and the end-of-text after them, so a document of n ids has n + 1 tokens, and an empty
one has 1.

Legend: N documents, P pieces, R rows, L tokens a row.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


class Pieces(NamedTuple):
    """Parts of documents in the order in which they stand: row after row, and left to right in each row."""

    document: Numbers
    """int64[P], position of the document among the lengths given."""
    start: Numbers
    """int64[P], tokens of the document before the piece."""
    length: Numbers
    """int64[P], tokens of the piece, at least 1."""
    row: Numbers
    """int64[P], rising; every row from 0 to rows - 1 has a piece."""
    rows: int
    """R."""


def in_row_order(document: Numbers, start: Numbers, length: Numbers, row: Numbers, rows: int) -> Pieces:
    """Pieces given in any order; those of a row stand in the order of their documents."""
    order = np.lexsort((start, document, row))
    return Pieces(document[order], start[order], length[order], row[order], rows)


def first_pieces(pieces: Pieces) -> Numbers:
    """int64[R]: the first piece of every row."""
    return np.searchsorted(pieces.row, np.arange(pieces.rows))


def permuted(pieces: Pieces, order: Numbers) -> Pieces:
    """The same rows in another order: row ``order[r]`` comes r-th."""
    place = np.empty(pieces.rows, np.int64)
    place[order] = np.arange(pieces.rows)
    row = place[pieces.row]
    sort = np.argsort(row, kind="stable")
    return Pieces(pieces.document[sort], pieces.start[sort], pieces.length[sort], row[sort], pieces.rows)


def rows_between(pieces: Pieces, first: int, last: int) -> Pieces:
    """Rows [first, last), counted from 0."""
    some = slice(*np.searchsorted(pieces.row, [first, last]))
    return Pieces(
        pieces.document[some], pieces.start[some], pieces.length[some], pieces.row[some] - first, last - first
    )


def joined(groups: list[Pieces], sizes: list[int]) -> Pieces:
    """Groups of documents one after another, each with its own rows; ``sizes`` are the groups' documents."""
    documents, rows = np.cumsum([0, *sizes]), np.cumsum([0, *(pieces.rows for pieces in groups)])
    empty = [np.empty(0, np.int64)]
    return Pieces(
        np.concatenate(empty + [p.document + n for p, n in zip(groups, documents[:-1], strict=True)]),
        np.concatenate(empty + [p.start for p in groups]),
        np.concatenate(empty + [p.length for p in groups]),
        np.concatenate(empty + [p.row + n for p, n in zip(groups, rows[:-1], strict=True)]),
        int(rows[-1]),
    )


def account(pieces: Pieces, tokens: Numbers) -> dict[str, int]:
    """What the rows hold and what they leave out, counted from the pieces themselves.

    Args:
        pieces: of whole groups.
        tokens: int64[N], tokens of every document.

    Returns:
        ``documents`` and ``stream_tokens`` that came in; ``rows`` and ``row_tokens`` (without padding) that came out;
        ``repeated_tokens`` that stand in more than one row (each further time counts); ``dropped_tokens`` in no row;
        ``dropped_documents`` of which nothing is in a row; ``truncated_documents`` that lost a part;
        ``split_documents`` that split over rows. Always
        stream_tokens = row_tokens - repeated_tokens + dropped_tokens.
    """
    order = np.lexsort((pieces.start, pieces.document))
    document, row = pieces.document[order], pieces.row[order]
    start, end = pieces.start[order], (pieces.start + pieces.length)[order]
    same = np.concatenate([[False], document[1:] == document[:-1]]) if len(document) else np.empty(0, bool)
    reached = np.where(same, np.concatenate([[0], end[:-1]])[: len(end)], 0)  # ends rise with starts in a document
    covered = np.zeros(len(tokens), np.int64)
    np.add.at(covered, document, end - np.maximum(start, reached))
    several = np.zeros(len(tokens), bool)
    several[document[same & (row != np.concatenate([[-1], row[:-1]])[: len(row)])]] = True
    held, came = int(pieces.length.sum()), int(tokens.sum())
    return {
        "documents": len(tokens),
        "stream_tokens": came,
        "rows": pieces.rows,
        "row_tokens": held,
        "repeated_tokens": held - int(covered.sum()),
        "dropped_tokens": came - int(covered.sum()),
        "dropped_documents": int((covered == 0).sum()),
        "truncated_documents": int(((covered > 0) & (covered < tokens)).sum()),
        "split_documents": int(several.sum()),
    }
