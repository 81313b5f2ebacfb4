import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.shard_sets import numbered_rows, write_set
from winnow.shards.formats.shard_format import RowShape
from winnow.shards.parquet import ParquetShardWriter
from winnow.stages.shards.shard_reading import read_shard, read_shard_parts
from winnow.storage.local_store import LocalStore


def test_rows_come_back_whatever_the_calls():
    rows = np.arange(2500 * 5, dtype=np.uint16).reshape(2500, 5)
    pieces = np.tile(np.array([2, 3], np.uint32), 2500)
    offsets = np.arange(2501) * 2
    file = io.BytesIO()
    writer = ParquetShardWriter(pa.PythonFile(file, mode="w"), 5, rows.dtype, "none")
    writer.write(rows, pieces, offsets)
    writer.close()
    table = pq.read_table(io.BytesIO(file.getvalue()))
    assert table.schema.field("input_ids").type == pa.list_(pa.field("element", pa.uint16(), nullable=False), 5)
    assert (table.column("input_ids").combine_chunks().flatten().to_numpy().reshape(-1, 5) == rows).all()
    assert table.column("doc_lens")[2499].as_py() == [2, 3]
    assert pq.ParquetFile(io.BytesIO(file.getvalue())).num_row_groups == 3


def test_further_columns_come_back():
    rows = np.arange(1100 * 4, dtype=np.uint32).reshape(1100, 4)
    pieces, offsets = np.tile(np.array([1, 2], np.uint32), 1100), np.arange(1101) * 2
    columns = {"attention_mask": (rows % 2).astype(np.uint8), "position_ids": (rows % 7).astype(np.uint16)}
    docs, starts = np.arange(2200, dtype=np.uint64) << np.uint64(33), np.arange(2200, dtype=np.uint32)
    file = io.BytesIO()
    kinds = {name: column.dtype for name, column in columns.items()}
    writer = ParquetShardWriter(pa.PythonFile(file, mode="w"), 4, rows.dtype, "zstd", kinds, docs=True)
    writer.write(rows, pieces, offsets, columns, docs, starts)
    writer.close()
    table = pq.read_table(io.BytesIO(file.getvalue()))
    assert table.column_names == ["input_ids", "doc_lens", "attention_mask", "position_ids", "docs", "doc_starts"]
    for name, column in columns.items():
        found = table.column(name).combine_chunks()
        assert (found.flatten().to_numpy().reshape(-1, 4) == column).all()
        assert found.type.value_type == pa.from_numpy_dtype(column.dtype)
    assert table.column("docs")[1050].as_py() == [2100 << 33, 2101 << 33]
    assert table.column("doc_starts")[1099].as_py() == [2198, 2199]


def test_parts_are_the_rows_of_the_whole_shard(tmp_path):
    folder = write_set(tmp_path / "set", {"train": [numbered_rows(2500)]}, formats=("parquet", "raw"))
    described = json.loads((folder / "manifest.json").read_text())["shards"]
    formats = {"parquet": described["splits"], **described["formats"]}
    shape = RowShape(5, np.dtype("uint32"), None)
    for kind, splits in formats.items():
        (shard,) = splits["train"]["shards"]
        given = LocalStore(str(folder)), shard["path"], kind
        whole, parts = read_shard(*given, shard, shape), list(read_shard_parts(*given, shard, shape))
        assert len(parts) == (3 if kind == "parquet" else 1)
        assert np.array_equal(np.concatenate([part.rows for part in parts]), whole.rows)
        assert np.array_equal(np.concatenate([part.pieces for part in parts]), whole.pieces)
        with pytest.raises(ValueError, match="holds 2,500 rows, the manifest says 2,501"):
            list(read_shard_parts(*given, shard | {"rows": 2501}, shape))
