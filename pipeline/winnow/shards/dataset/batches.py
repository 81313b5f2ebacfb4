"""Training batches from rows: inputs, labels that lie one token ahead, and what a loss must leave out.

Legend: B rows a batch, L ids a stored row, S = L - 1 tokens that a step sees (S = L without shift).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.shards.dataset.picked_rows import PickedRows
from winnow.shards.dataset.provenance import NO_PIECE
from winnow.shards.dataset.split_reader import SplitReader

IGNORE = -100
"""Label of what the loss must leave out: the default ``ignore_index`` of torch's cross entropy."""
LABEL = "label"
_IGNORE = np.uint32(IGNORE % (1 << 32))
Batch = dict[str, NDArray[Any]]
Shapes = Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]
Allocate = Callable[[Shapes], Batch]


def new_arrays(shapes: Shapes) -> Batch:
    """An array for each name, of the shape and dtype given."""
    return {name: np.empty(shape, dtype) for name, (shape, dtype) in shapes.items()}


def keep_freed_memory() -> None:
    """Have malloc keep what batches free for the next ones.

    New memory costs a page fault for each 4 KB: batches took twice as long at times. glibc gives memory back to the
    system where more than twice the largest block lies free that ever was; one of almost 32 MB, the largest that
    counts, is allocated and freed here, and never written to.

    Source: mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD.
    """
    np.empty(31 << 20, np.uint8)


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
    picked = PickedRows(reader, shards, rows)
    ends, sources = np.zeros((0, count), np.uint32), np.zeros((0, count), np.int32)
    if form.sources:
        sources = picked.sources()
    if form.position_ids or form.doc_lens:
        ends = picked.piece_ends()
    columns = form.read(bool(reader.shard_set.labels))
    batch = allocate(_shapes(reader, shards, size, form, columns, max(len(ends), len(sources))))
    if count < size:
        empty = {"input_ids": reader.shard_set.end_of_text, "labels": IGNORE, LABEL: IGNORE, "sources": NO_PIECE}
        for name, array in batch.items():
            array[count:] = 0 if name in columns else empty.get(name, 0)
    if form.position_ids:
        _write_positions(batch["position_ids"], ends)
    if not count:
        return batch
    if form.doc_lens:
        batch["doc_lens"][:count] = np.diff(np.minimum(ends, np.uint32(seen)), axis=0, prepend=np.uint32(0)).T
    if form.sources:
        batch["sources"][:count] = sources.T
    ids, mask = picked.values(), picked.loss_mask()
    batch["input_ids"][:count] = ids[:, :seen]
    labels = batch["labels"][:count]
    labels[...] = (ids if mask is None else _masked(ids, mask))[:, length - seen :]
    if not reader.full:
        filled = ends[-1].astype(np.int64) if len(ends) else picked.filled()
        _leave_out_padding(labels, filled - form.shift)
    if form.label and reader.shard_set.labels:
        columns.append(LABEL)
    for name in columns:
        values, column = picked.values(name), batch[name][:count]
        column[...] = values[:, : column.shape[1]] if column.ndim > 1 else values[:, 0]
    return batch


def _shapes(
    reader: SplitReader, shards: NDArray[np.int64], size: int, form: BatchForm, columns: list[str], pieces: int
) -> Shapes:
    """Shape and dtype of all arrays of a batch whose rows have ``pieces`` document pieces at most."""
    seen = reader.shard_set.row_tokens - form.shift
    names = ("input_ids", "labels", "position_ids") if form.position_ids else ("input_ids", "labels")
    shapes: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = dict.fromkeys(names, ((size, seen), form.dtype))
    for name in ("doc_lens",) * form.doc_lens + ("sources",) * form.sources:
        shapes[name] = ((size, pieces), form.dtype)
    if form.label and reader.shard_set.labels:
        shapes[LABEL] = (size,), form.dtype
    for name in columns:
        column = reader.shard(int(shards[0]) if len(shards) else 0).column(name)
        shape = (size,) if column.length == 1 else (size, min(column.length, seen))
        shapes[name] = shape, column.dtype if column.dtype.kind == "f" else form.dtype
    return shapes


def _masked(ids: NDArray[Any], mask: NDArray[Any]) -> NDArray[np.int32]:
    """The ids int32[n, L], and -100 where the mask [n, L] is 0.

    Without a branch, in as few bytes as hold both: a masked copy takes ten times as long where the mask has no long
    runs. Arithmetic is modulo 2^32.
    """
    labels: NDArray[np.uint32] = ids - _IGNORE
    ones = mask.view(f"u{mask.itemsize}")
    labels *= ones if ones.max() <= 1 else mask != 0
    labels += _IGNORE
    return labels.view(np.int32)


def _leave_out_padding(labels: NDArray[Any], ends: NDArray[np.int64]) -> None:
    """Nothing is learned from row i of ``labels`` at ends[i] and behind."""
    width = labels.shape[1]
    step = np.arange(2 * width) >= width
    windows = np.ndarray(width + 1, np.dtype((np.void, width)), step, strides=(1,))
    padding = windows[width - np.maximum(ends, 0)].view(np.bool_).reshape(labels.shape)
    np.copyto(labels, IGNORE, where=padding)


def _write_positions(out: NDArray[Any], ends: NDArray[np.uint32]) -> None:
    """Place of each token in its document piece, whose ends are given; what is behind the last counts as a piece."""
    size, width = out.shape
    borders = np.zeros((len(ends) + 2, size), np.int64)
    borders[1:-1, : ends.shape[1]] = np.minimum(ends, np.uint32(width))
    borders[-1] = width
    narrow = np.min_scalar_type(width)
    begins = np.repeat(borders[:-1].T.astype(narrow).ravel(), (borders[1:] - borders[:-1]).T.ravel())
    out[...] = np.arange(width, dtype=narrow) - begins.reshape(out.shape)
