"""Training batches from rows: inputs, labels that lie one token ahead, and what a loss must leave out.

Legend: B rows a batch, L ids a stored row, S = L - 1 tokens that a step sees (S = L without shift).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.shards.dataset.split_reader import SplitReader

IGNORE = -100
"""Label of what the loss must leave out: the default ``ignore_index`` of torch's cross entropy."""
LOSS_MASK = "loss_mask"
LABEL = "label"
Batch = dict[str, NDArray[Any]]
Allocate = Callable[[tuple[int, int], np.dtype[Any]], NDArray[Any]]


@dataclass(frozen=True)
class BatchForm:
    """What a batch holds."""

    dtype: np.dtype[Any]
    """Of all integers in it."""
    shift: bool = True
    """Labels stand one token ahead of the inputs. False: both are the whole row (models that shift)."""
    position_ids: bool = False
    """Positions that begin again with each document."""
    doc_lens: bool = False
    """Lengths of the document pieces of the inputs."""
    columns: tuple[str, ...] = ()
    """Further columns of the shards, by name."""
    label: bool = False
    """The label of each row's document, where documents have labels."""


def make_batch(
    reader: SplitReader,
    shards: NDArray[np.int64],
    rows: NDArray[np.int64],
    size: int,
    form: BatchForm,
    allocate: Allocate = np.empty,
) -> Batch:
    """One batch.

    Args:
        reader: of the split.
        shards: int64[n], shard numbers, n at most ``size``.
        rows: int64[n], row numbers within the shards.
        size: B. Rows beyond n are empty: end-of-text as inputs, nothing to learn.
        form: what the batch holds.
        allocate: makes the arrays.

    Returns:
        ``input_ids`` [B, S]; ``labels`` [B, S], -100 where the target is padding or masked by a ``loss_mask`` column;
        if asked ``position_ids`` [B, S], ``doc_lens`` [B, K] (0 after a row's last piece; K the most pieces of a row),
        columns as [B, S] or [B], and ``label`` [B], -100 for empty rows.
    """
    length = reader.shard_set.row_tokens
    seen = length - form.shift
    count = len(rows)
    inputs, labels = allocate((size, seen), form.dtype), allocate((size, seen), form.dtype)
    batch: Batch = {"input_ids": inputs, "labels": labels}
    if count < size:
        inputs[count:], labels[count:] = reader.shard_set.end_of_text, IGNORE
    if count:
        ids = reader.values(shards, rows)
        inputs[:count] = ids[:, :seen]
        labels[:count] = ids[:, length - seen :]
        filled = reader.filled(shards, rows)
        for row in np.flatnonzero(filled < length).tolist():
            labels[row, max(0, int(filled[row]) - form.shift) :] = IGNORE
        if LOSS_MASK in reader.shard(int(shards[0])).names:
            mask = reader.values(shards, rows, LOSS_MASK)
            labels[:count][mask[:, length - seen :] == 0] = IGNORE
    if form.position_ids or form.doc_lens:
        pieces = reader.pieces(shards, rows) + [np.zeros(0, np.uint32)] * (size - count)
        if form.position_ids:
            batch["position_ids"] = _positions(pieces, length)[:, :seen].astype(form.dtype)
        if form.doc_lens:
            batch["doc_lens"] = _padded_lens(pieces, seen).astype(form.dtype)
    if form.label and reader.shard_set.labels:
        batch[LABEL] = np.full(size, IGNORE, form.dtype)
        if count:
            batch[LABEL][:count] = reader.values(shards, rows, LABEL)[:, 0]
    for name in form.columns:
        if name in batch:
            continue
        batch[name] = _column(reader, shards, rows, name, size, seen, form.dtype)
    return batch


def _positions(pieces: list[NDArray[np.uint32]], length: int) -> NDArray[np.int64]:
    """int64[B, L]: place of each token in its document piece; padding counts as a piece."""
    if not pieces:
        return np.zeros((0, length), np.int64)
    rest = [np.append(lens.astype(np.int64), length - int(lens.sum())) for lens in pieces]
    lens = np.concatenate(rest)
    starts = np.cumsum(lens) - lens
    positions: NDArray[np.int64] = np.arange(len(pieces) * length) - np.repeat(starts, lens)
    return positions.reshape(len(pieces), length)


def _padded_lens(pieces: list[NDArray[np.uint32]], seen: int) -> NDArray[np.int64]:
    """int64[B, K]: piece lengths, cut to the first ``seen`` tokens of a row, 0 after the last."""
    out = np.zeros((len(pieces), max((len(lens) for lens in pieces), default=0)), np.int64)
    for row, lens in enumerate(pieces):
        ends = np.minimum(np.cumsum(lens, dtype=np.int64), seen)
        out[row, : len(lens)] = np.diff(ends, prepend=0)
    return out


def _column(
    reader: SplitReader,
    shards: NDArray[np.int64],
    rows: NDArray[np.int64],
    name: str,
    size: int,
    seen: int,
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    values = (
        reader.values(shards, rows, name)
        if len(rows)
        else reader.values(np.zeros(1, np.int64), np.zeros(1, np.int64), name)
    )
    if values.dtype.kind == "f":
        dtype = values.dtype
    width = min(values.shape[1], seen) if values.shape[1] > 1 else 1
    out = np.zeros((size, width), dtype)
    out[: len(rows)] = values[: len(rows), :width]
    return out if values.shape[1] > 1 else out[:, 0]
