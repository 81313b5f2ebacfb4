import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from winnow.shards.parquet import ParquetShardWriter


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
