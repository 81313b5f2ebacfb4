"""Batches of preference pairs, as the preference collator of trl makes them.

Legend: B pairs a batch, T tokens of the longest prompt with one answer.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.shards.dataset.batches import Allocate, Batch, BatchForm, new_arrays
from winnow.shards.dataset.picked_rows import PickedRows
from winnow.shards.dataset.split_reader import SplitReader
from winnow.shards.preferences import PARTS


def make_pair_batch(
    reader: SplitReader,
    shards: NDArray[np.int64],
    rows: NDArray[np.int64],
    size: int,
    form: BatchForm,
    allocate: Allocate = new_arrays,
) -> Batch:
    """One batch of pairs: the chosen ones, then the rejected ones.

    Args:
        reader: of the split.
        shards: int64[n], shard numbers, n at most ``size``.
        rows: int64[n], row numbers within the shards.
        size: B. Pairs beyond n are empty: end-of-text, of which nothing counts.
        form: of which only the dtype counts: pairs have no other columns.
        allocate: makes all arrays of the batch at once.

    Returns:
        ``input_ids`` [2 B, T], prompt and answer, padded with end-of-text; ``attention_mask`` [2 B, T], 1 on both;
        ``completion_mask`` [2 B, T], 1 on the answer.
    """
    picked = PickedRows(reader, shards, rows)
    ends = picked.piece_ends().astype(np.int64).reshape(len(PARTS), -1)
    prompt, chosen, rejected = np.diff(ends, axis=0, prepend=0)
    rejected = rejected - 1  # the end-of-text of the row
    longest = int((prompt + np.maximum(chosen, rejected)).max(initial=1))
    names = ("input_ids", "attention_mask", "completion_mask")
    batch = allocate(dict.fromkeys(names, ((2 * size, longest), form.dtype)))
    batch["input_ids"][...] = reader.shard_set.end_of_text
    batch["attention_mask"][...] = 0
    batch["completion_mask"][...] = 0
    if not len(rows):
        return batch
    ids = picked.values()
    at = np.arange(longest)
    for first, begin, length in ((0, prompt, chosen), (size, prompt + chosen, rejected)):
        mine = slice(first, first + len(rows))
        asked, held = at < prompt[:, None], at < (prompt + length)[:, None]
        place = np.where(asked, at, np.minimum(at + (begin - prompt)[:, None], ids.shape[1] - 1))
        np.copyto(batch["input_ids"][mine], np.take_along_axis(ids, place, axis=1), where=held, casting="unsafe")
        batch["attention_mask"][mine] = held
        batch["completion_mask"][mine] = held & ~asked
    return batch
