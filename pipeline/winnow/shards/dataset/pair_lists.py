"""Preference pairs in a Parquet shard: their three lists as rows of one length, and how long each is.

Legend: R rows of a shard, L ids a stored row.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow.shards.dataset.columns import DecodedColumn, DecodedGroups, reading, rows_of_groups
from winnow.shards.dataset.shard_set import ShardSet
from winnow.shards.preferences import PARTS, pairs_of


def pair_column(
    file: pq.ParquetFile, path: Path, name: str, groups: DecodedGroups, shard_set: ShardSet
) -> DecodedColumn:
    """The three lists of each pair as one row of L ids, end-of-text behind them."""

    def decode(group: int) -> NDArray[Any]:
        with reading(path):
            return pairs_of(pair_lists(file, group), shard_set.row_tokens, shard_set.end_of_text)[0]

    rows = rows_of_groups(file, path)
    return DecodedColumn((str(path), name), rows, decode, shard_set.row_tokens, shard_set.dtype, groups)


def pair_lists(file: pq.ParquetFile, group: int) -> dict[str, pa.ListArray]:
    """The three list columns of a row group."""
    table = file.read_row_group(group, columns=list(PARTS), use_threads=False).combine_chunks()
    return {name: pa.concat_arrays(table.column(name).chunks) for name in PARTS}


def pair_pieces(file: pq.ParquetFile) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Pieces uint32[3 R] of a shard, the end-of-text behind them counted to the last, and offsets int64[R + 1]."""
    table = file.read(columns=list(PARTS), use_threads=False)
    lengths = np.stack([np.from_dlpack(table.column(name).combine_chunks().value_lengths()) for name in PARTS], axis=1)
    lengths[:, -1] += 1
    return lengths.ravel().astype(np.uint32), np.arange(len(lengths) + 1) * len(PARTS)
