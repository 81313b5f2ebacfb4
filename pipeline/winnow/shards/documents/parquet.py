"""Clean text as Parquet, compressed with zstd."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from winnow.shards.documents.formats import TextFormat
from winnow.storage.draft import Draft

ROW_GROUP_BYTES = 32_000_000
"""Text and columns in a row group, in memory: what a reader that streams holds at once."""


def write(table: pa.Table, draft: Draft, encryption: dict[str, Any] | None = None) -> None:
    """One file; row groups of about ``ROW_GROUP_BYTES``."""
    rows = max(1, table.num_rows * ROW_GROUP_BYTES // max(1, table.nbytes))
    encoded = [field.name for field in table.schema if field.name not in ("id", "text")]
    with pq.ParquetWriter(
        draft.arrow(), table.schema, compression="zstd", use_dictionary=encoded, **(encryption or {})
    ) as writer:
        writer.write_table(table, row_group_size=rows)


FORMAT = TextFormat(suffix=".parquet", write=write, packages=("pyarrow",), write_encrypted=write)
