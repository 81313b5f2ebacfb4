"""Parquet shards: one row a training sequence, read by Hugging Face datasets, torchtitan, DuckDB, Ray and others as is.

Columns: ``input_ids`` fixed_size_list<uint16 or uint32>[L] and ``doc_lens`` list<uint32>: the lengths of the document
pieces in the row, end-of-text included; what they do not cover at the end of a row is padding.
"""

from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

ROWS_A_GROUP = 1024
"""Rows of a row group: the unit of random access for readers (16 MB at 4,096 tokens of 4 bytes)."""


def shard_schema(row_tokens: int, dtype: np.dtype[Any]) -> pa.Schema:
    """Arrow schema of a shard with rows of ``row_tokens`` ids."""
    return pa.schema(
        [
            pa.field(
                "input_ids",
                pa.list_(pa.field("element", pa.from_numpy_dtype(dtype), nullable=False), row_tokens),
            ),
            pa.field("doc_lens", pa.list_(pa.field("element", pa.uint32(), nullable=False))),
        ]
    )


class ParquetShardWriter:
    """Appends packed rows to one shard; row groups are equal whatever the calls."""

    def __init__(
        self, sink: pa.NativeFile, row_tokens: int, dtype: np.dtype[Any], compression: Literal["none", "zstd"]
    ) -> None:
        self._schema = shard_schema(row_tokens, dtype)
        self._writer = pq.ParquetWriter(
            sink,
            self._schema,
            compression=compression,
            use_dictionary=False,
            write_statistics=False,
            store_schema=True,
        )

    def write(self, rows: NDArray[Any], pieces: NDArray[np.uint32], offsets: NDArray[np.int64]) -> None:
        """Append rows ids[R, L] with their piece lengths, as :func:`pipeline.tokens.packing.pack_rows` gives them."""
        for start in range(0, len(rows), ROWS_A_GROUP):
            stop = min(start + ROWS_A_GROUP, len(rows))
            flat = pa.array(rows[start:stop].reshape(-1))
            ids = pa.FixedSizeListArray.from_arrays(flat, type=self._schema.field("input_ids").type)
            first, last = int(offsets[start]), int(offsets[stop])
            lens = pa.ListArray.from_arrays(
                pa.array((offsets[start : stop + 1] - first).astype(np.int32)),
                pa.array(pieces[first:last]),
                type=self._schema.field("doc_lens").type,
            )
            self._writer.write_table(
                pa.Table.from_arrays([ids, lens], schema=self._schema), row_group_size=ROWS_A_GROUP
            )

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()
