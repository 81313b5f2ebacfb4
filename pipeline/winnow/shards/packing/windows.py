"""Windows: rows of equal length, one every ``stride`` tokens; and one document a row.

The pairs taught in "Build a Large Language Model From Scratch" (Raschka, 2024, chapter 2): for i in 0, stride,
2 x stride, ... below T - length: input t[i : i + length], target t[i + 1 : i + length + 1]. Both are one row of
length + 1 tokens here.

Legend: N documents, P pieces, L tokens a row (length + 1), T tokens of the stream.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.shards.packing.pieces import Pieces


def num_windows(tokens: NDArray[np.int64], row_tokens: int, stride: int) -> NDArray[np.int64]:
    """int64[N]: windows in streams or documents of ``tokens`` int64[N]."""
    windows: NDArray[np.int64] = np.where(tokens >= row_tokens, (tokens - row_tokens) // stride + 1, 0)
    return windows


def document_windows(tokens: NDArray[np.int64], row_tokens: int, stride: int) -> Pieces:
    """Windows over each document by itself, in the order of the documents. Args as in :func:`num_windows`."""
    windows = num_windows(tokens, row_tokens, stride)
    document = np.repeat(np.arange(len(tokens)), windows)
    number = np.arange(len(document)) - np.repeat(np.cumsum(windows) - windows, windows)
    row = np.arange(len(document))
    return Pieces(document, number * stride, np.full(len(row), row_tokens), row, len(row))


def stream_windows(
    begins: NDArray[np.int64], tokens: NDArray[np.int64], row_tokens: int, stride: int, first: int, windows: int
) -> Pieces:
    """Windows [first, first + windows) of the whole stream.

    Args:
        begins: int64[N], position in the stream of each document that the windows touch, and maybe of others.
        tokens: int64[N], of these documents.
        row_tokens: L.
        stride: tokens between begins of windows, L at most.
        first: number of the first window.
        windows: how many.
    """
    at = (first + np.arange(windows)) * stride
    low = np.searchsorted(begins + tokens, at, side="right")
    high = np.searchsorted(begins, at + row_tokens, side="left")
    row = np.repeat(np.arange(windows), high - low)
    document = np.arange(len(row)) - np.repeat(np.cumsum(high - low) - high, high - low)
    start = np.maximum(at[row] - begins[document], 0)
    end = np.minimum(at[row] + row_tokens - begins[document], tokens[document])
    return Pieces(document, start, end - start, row, windows)


def stream_losses(
    begins: NDArray[np.int64], tokens: NDArray[np.int64], row_tokens: int, stride: int, windows: int
) -> dict[str, int]:
    """What ``windows`` windows over a stream make of some of its documents; the names are those of ``account``."""
    ends = begins + tokens
    covered = (windows - 1) * stride + row_tokens if windows else 0
    first = np.maximum((begins - row_tokens) // stride + 1, 0)
    last = np.minimum((ends - 1) // stride, windows - 1)
    return {
        "dropped_tokens": int((ends - np.clip(covered, begins, ends)).sum()),
        "dropped_documents": int((begins >= covered).sum()),
        "truncated_documents": int(((begins < covered) & (ends > covered)).sum()),
        "split_documents": int((last > first).sum()),
    }


def tokens_in_rows(tokens: NDArray[np.int64], rows: Mapping[str, Any]) -> NDArray[np.int64]:
    """int64[N]: of each document, tokens of the rows that it gets into; as often as they stand there.

    Args:
        tokens: int64[N], of each document.
        rows: ``ShardsConfig.cutting_rows``.
    """
    if not rows:
        return tokens
    row_tokens = int(rows["row_tokens"])
    if rows["kind"] == "window":
        reach = num_windows(tokens, row_tokens, int(rows["stride_tokens"])) * row_tokens
    elif rows["kind"] == "preference":
        reach = np.where(tokens > 1, tokens, 0)
    elif rows.get("long_documents") == "drop":
        reach = np.where(tokens > row_tokens, 0, tokens)
    else:
        reach = np.minimum(tokens, row_tokens)
    return reach.astype(np.int64)


def preference_rows(tokens: NDArray[np.int64]) -> Pieces:
    """One preference pair a row, in order; those that got no ids have none."""
    document = np.flatnonzero(tokens > 1)
    row = np.arange(len(document))
    return Pieces(document, np.zeros_like(row), tokens[document], row, len(document))


def document_rows(tokens: NDArray[np.int64], row_tokens: int) -> Pieces:
    """One document a row, in order; what is longer than a row is cut off."""
    row = np.arange(len(tokens))
    return Pieces(row, np.zeros_like(row), np.minimum(tokens, row_tokens), row, len(tokens))
