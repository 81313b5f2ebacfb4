"""Rows of preference pairs: three lists of ids in Parquet, three pieces of a row in memory.

The columns are those that the preference collator of trl takes (``DataCollatorForPreference``, trl 1.0 and later).

Legend: R rows, L ids a row.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.shards.packed_rows import PackedRows

PARTS = ("prompt_ids", "chosen_ids", "rejected_ids")
"""Columns of a row, in the order of its pieces."""


def as_pairs(packed: PackedRows, marks: NDArray[np.uint8]) -> PackedRows:
    """Each row's one piece as three.

    Args:
        packed: rows of one document each: prompt, chosen answer, rejected answer, end-of-text.
        marks: uint8[R, L], 1 on the chosen answer.
    """
    prompt = marks.argmax(axis=1)
    chosen = marks.sum(axis=1, dtype=np.int64)
    pieces = np.stack([prompt, chosen, packed.pieces - prompt - chosen], axis=1)
    starts = np.cumsum(pieces, axis=1) - pieces
    return packed._replace(
        pieces=pieces.ravel().astype(np.uint32),
        offsets=np.arange(len(pieces) + 1) * len(PARTS),
        docs=None if packed.docs is None else np.repeat(packed.docs, len(PARTS)),
        doc_starts=None if packed.doc_starts is None else starts.ravel().astype(np.uint32),
        preferences=True,
    )


def pair_columns(rows: NDArray[Any], pieces: NDArray[np.uint32]) -> dict[str, pa.Array]:
    """The three lists of some rows ids[R, L], whose pieces are uint32[3 R]; without the end-of-text behind them."""
    lengths = pieces.reshape(-1, len(PARTS)).astype(np.int64)
    borders = np.concatenate([np.zeros((len(lengths), 1), np.int64), np.cumsum(lengths, axis=1)], axis=1)
    borders[:, -1] -= 1
    at = np.arange(rows.shape[1])
    found = {}
    for name, (begin, end) in zip(PARTS, pairwise(borders.T), strict=True):
        values = rows[(at >= begin[:, None]) & (at < end[:, None])]
        offsets = np.concatenate([[0], np.cumsum(end - begin)]).astype(np.int32)
        found[name] = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))
    return found


def pairs_of(columns: Mapping[str, Any], row_tokens: int, end_of_text: int) -> tuple[NDArray[Any], NDArray[np.uint32]]:
    """Rows ids[R, L] and pieces uint32[3 R] of three list columns; end-of-text behind what they hold.

    Raises:
        ValueError: a row holds more than ``row_tokens`` ids.
    """
    lists = [columns[name] for name in PARTS]
    offsets = [np.from_dlpack(column.offsets).astype(np.int64) for column in lists]
    lengths = np.stack([np.diff(some) for some in offsets], axis=1)
    borders = np.concatenate([np.zeros((len(lengths), 1), np.int64), np.cumsum(lengths, axis=1)], axis=1)
    if borders.max(initial=0) >= row_tokens:
        raise ValueError(f"a preference pair holds {borders.max():,} ids, more than {row_tokens - 1:,}")
    values = [np.from_dlpack(column.values)[some[0] : some[-1]] for column, some in zip(lists, offsets, strict=True)]
    rows = np.full((len(lengths), row_tokens), end_of_text, values[0].dtype)
    at = np.arange(row_tokens)
    for (begin, end), ids in zip(pairwise(borders.T), values, strict=True):
        rows[(at >= begin[:, None]) & (at < end[:, None])] = ids
    lengths[:, -1] += 1
    return rows, lengths.ravel().astype(np.uint32)
