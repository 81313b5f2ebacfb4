import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shards.parquet import ParquetShardWriter


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
