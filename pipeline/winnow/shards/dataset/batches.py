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
            _leave_out(labels[:count], mask[:, length - seen :] != 0)
    if form.position_ids:
        _write_positions(batch["position_ids"], lens, counts)
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
    if labels.shape[1] < _LONG_ROW:
        np.copyto(labels[: len(ends)], IGNORE, where=np.arange(labels.shape[1]) >= ends[:, None])
    else:
        for row, end in enumerate(np.maximum(ends, 0).tolist()):
            labels[row, end:] = IGNORE


def _leave_out(labels: NDArray[Any], learned: NDArray[np.bool_]) -> None:
    """Nothing is learned where ``learned`` is not.

    Three passes without a branch: a masked copy takes five times as long where the mask has no long runs.
    """
    labels -= IGNORE
    labels *= learned
    labels += IGNORE


def _write_positions(out: NDArray[Any], lens: NDArray[np.uint32], counts: NDArray[np.int64]) -> None:
    """Place of each token in its document piece; padding counts as a piece, and rows without pieces as one."""
    out[...] = 1
    out[:, 0] = 0
    rows, _, stops = _pieces_in_rows(lens, counts)
    begins = (stops < out.shape[1]) & (lens > 0)  # of the next piece: there one goes back to 0
    out[rows[begins], stops[begins]] = 1 - lens[begins].astype(np.int64)
    np.cumsum(out, axis=1, out=out)


def _write_lens(out: NDArray[Any], lens: NDArray[np.uint32], counts: NDArray[np.int64], seen: int) -> None:
    """Piece lengths of row i, cut to the first ``seen`` tokens, at the beginning of row i of ``out``."""
    rows, places, stops = _pieces_in_rows(lens, counts)
    out[rows, places] = np.minimum(stops, seen) - np.minimum(stops - lens, seen)


def _pieces_in_rows(
    lens: NDArray[np.uint32], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Row, place in it and end in its tokens, int64[P] each, of every piece of rows with so many pieces int64[n]."""
    rows, places = _places(counts)
    ends = np.concatenate([[0], np.cumsum(lens, dtype=np.int64)])
    return rows, places, ends[1:] - np.repeat(ends[np.cumsum(counts) - counts], counts)


def _places(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and place in it, int64[P] each, of every piece of rows with so many pieces int64[n]."""
    rows = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts
    return rows, np.arange(len(rows)) - before[rows]
