"""Training batches from rows: inputs, labels that lie one token ahead, and what a loss must leave out.

Legend: B rows a batch, L ids a stored row, S = L - 1 tokens that a step sees (S = L without shift).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.shards.dataset.provenance import NO_PIECE
from winnow.shards.dataset.split_reader import SplitReader

IGNORE = -100
"""Label of what the loss must leave out: the default ``ignore_index`` of torch's cross entropy."""
LABEL = "label"
_LONG_ROW = 1024
"""From here on a step of Python for each row costs less than looking at every token of it."""
Batch = dict[str, NDArray[Any]]
Shapes = Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]
Allocate = Callable[[Shapes], Batch]


def new_arrays(shapes: Shapes) -> Batch:
    """An array for each name, of the shape and dtype given."""
    return {name: np.empty(shape, dtype) for name, (shape, dtype) in shapes.items()}


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
    sources: bool = False
    """Numbers of the sources that the document pieces of the rows come from."""
    columns: tuple[str, ...] = ()
    """Further columns of the shards, by name."""
    label: bool = False
    """The label of each row's document, where documents have labels."""

    def read(self, labelled: bool) -> list[str]:
        """The further columns, without those that a batch has anyway; ``labelled``: the documents have labels."""
        asked = {
            "position_ids": self.position_ids,
            "doc_lens": self.doc_lens,
            "sources": self.sources,
            LABEL: self.label and labelled,
        }
        made = {"input_ids", "labels", *(name for name, wanted in asked.items() if wanted)}
        return [name for name in dict.fromkeys(self.columns) if name not in made]


def make_batch(
    reader: SplitReader,
    shards: NDArray[np.int64],
    rows: NDArray[np.int64],
    size: int,
    form: BatchForm,
    allocate: Allocate = new_arrays,
) -> Batch:
    """One batch.

    Args:
        reader: of the split.
        shards: int64[n], shard numbers, n at most ``size``.
        rows: int64[n], row numbers within the shards.
        size: B. Rows beyond n are empty: end-of-text as inputs, nothing to learn.
        form: what the batch holds.
        allocate: makes all arrays of the batch at once.

    Returns:
        ``input_ids`` [B, S]; ``labels`` [B, S], -100 where the target is padding or masked by a ``loss_mask`` column;
        if asked ``position_ids`` [B, S], ``doc_lens`` [B, K] (0 after a row's last piece; K the most pieces of a row),
        ``sources`` [B, K] (numbers of the reader's sources, -1 after the last piece),
        columns as [B, S] or [B], and ``label`` [B], -100 for empty rows.
    """
    length = reader.shard_set.row_tokens
    seen = length - form.shift
    count = len(rows)
    lens, counts, sources = np.zeros(0, np.uint32), np.zeros(0, np.int64), np.zeros(0, np.int32)
    if form.sources:
        sources, counts = reader.sources(shards, rows)
    if form.position_ids or form.doc_lens:
        lens, counts = reader.pieces(shards, rows)
    batch = allocate(_shapes(reader, shards, size, form, int(counts.max(initial=0))))
    inputs, labels = batch["input_ids"], batch["labels"]
    if count < size:
        inputs[count:], labels[count:] = reader.shard_set.end_of_text, IGNORE
    if count:
        ids = reader.values(shards, rows)
        inputs[:count] = ids[:, :seen]
        labels[:count] = ids[:, length - seen :]
        if not reader.full:
            _leave_out_padding(labels, reader.filled(shards, rows) - form.shift)
        mask = reader.loss_mask(shards, rows)
        if mask is not None:
            np.copyto(labels[:count], IGNORE, where=mask[:, length - seen :] == 0)
    if form.position_ids:
        batch["position_ids"][:count] = _positions(lens, counts, length)[:, :seen]
        batch["position_ids"][count:] = np.arange(seen)
    if form.doc_lens:
        batch["doc_lens"][...] = 0
        _write_lens(batch["doc_lens"], lens, counts, seen)
    if form.sources:
        batch["sources"][...] = NO_PIECE
        batch["sources"][_places(counts)] = sources
    if form.label and reader.shard_set.labels:
        batch[LABEL][count:] = IGNORE
        if count:
            batch[LABEL][:count] = reader.values(shards, rows, LABEL)[:, 0]
    for name in form.read(bool(reader.shard_set.labels)):
        column = batch[name]
        column[count:] = 0
        if count:
            values = reader.values(shards, rows, name)
            column[:count] = values[:, : column.shape[1]] if column.ndim > 1 else values[:, 0]
    return batch


def _shapes(reader: SplitReader, shards: NDArray[np.int64], size: int, form: BatchForm, pieces: int) -> Shapes:
    """Shape and dtype of all arrays of a batch whose rows have ``pieces`` document pieces at most."""
    seen = reader.shard_set.row_tokens - form.shift
    names = ("input_ids", "labels", "position_ids") if form.position_ids else ("input_ids", "labels")
    shapes: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = dict.fromkeys(names, ((size, seen), form.dtype))
    for name in ("doc_lens",) * form.doc_lens + ("sources",) * form.sources:
        shapes[name] = ((size, pieces), form.dtype)
    if form.label and reader.shard_set.labels:
        shapes[LABEL] = (size,), form.dtype
    for name in form.read(bool(reader.shard_set.labels)):
        column = reader.shard(int(shards[0]) if len(shards) else 0).column(name)
        shape = (size,) if column.length == 1 else (size, min(column.length, seen))
        shapes[name] = shape, column.dtype if column.dtype.kind == "f" else form.dtype
    return shapes


def _leave_out_padding(labels: NDArray[Any], ends: NDArray[np.int64]) -> None:
    """Nothing is learned from row i of ``labels`` at ends[i] and behind."""
    short = np.flatnonzero(ends < labels.shape[1])
    if labels.shape[1] < _LONG_ROW:
        padding = np.arange(labels.shape[1]) >= ends[short, None]
        labels[short] = np.where(padding, IGNORE, labels[short])
    else:
        for row, end in zip(short.tolist(), np.maximum(ends[short], 0).tolist(), strict=True):
            labels[row, end:] = IGNORE


def _positions(lens: NDArray[np.uint32], counts: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """int64[n, L]: place of each token in its document piece; padding counts as a piece."""
    last = np.cumsum(counts + 1) - 1  # the padding of each row among its pieces
    is_piece = np.ones(len(lens) + len(counts), bool)
    is_piece[last] = False
    pieces = np.zeros(len(is_piece), np.int64)
    pieces[is_piece] = lens
    ends = np.cumsum(pieces)[last]
    pieces[last] = length - np.diff(ends, prepend=0)
    starts = np.cumsum(pieces) - pieces
    positions: NDArray[np.int64] = np.arange(len(counts) * length) - np.repeat(starts, pieces)
    return positions.reshape(len(counts), length)


def _write_lens(out: NDArray[Any], lens: NDArray[np.uint32], counts: NDArray[np.int64], seen: int) -> None:
    """Piece lengths of row i, cut to the first ``seen`` tokens, at the beginning of row i of ``out``."""
    rows, places = _places(counts)
    before = np.cumsum(counts) - counts
    ends = np.cumsum(lens, dtype=np.int64)
    row_begins = np.concatenate([[0], ends])[before]
    stops = ends - np.repeat(row_begins, counts)
    out[rows, places] = np.minimum(stops, seen) - np.minimum(stops - lens, seen)


def _places(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and place in it, int64[P] each, of every piece of rows with so many pieces int64[n]."""
    rows = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts
    return rows, np.arange(len(rows)) - before[rows]
