"""Parquet tables between stages are read back as they were written, whole or the columns that are asked for."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from winnow.stages.tables import read_parquet
from winnow.storage.local_store import LocalStore

ROWS = pa.table(
    {
        "doc": pa.array([3, 4, 9], pa.uint64()),
        "source": pa.array(["web", None, "books"]).dictionary_encode(),
        "text": pa.array(["a", "", None], pa.large_string()),
    }
)


@pytest.mark.parametrize("groups", [0, 1, 3])
def test_columns_come_in_the_order_that_is_asked_for(tmp_path, groups):
    with pq.ParquetWriter(tmp_path / "some.parquet", ROWS.schema) as writer:
        for _ in range(groups):
            writer.write_table(ROWS)
    written = pa.concat_tables([ROWS.slice(0, 0), *[ROWS] * groups])
    store, reference = LocalStore(str(tmp_path)), {"path": "some.parquet"}
    assert read_parquet(store, reference).equals(written)
    for names in (["text", "doc"], ["source"], ["source", "text", "doc"]):
        found = read_parquet(store, reference, names)
        assert found.column_names == names
        assert found.equals(written.select(names))
        assert found.combine_chunks().column(0).to_pylist() == written.column(names[0]).to_pylist()


def test_a_column_that_is_not_there_is_told(tmp_path):
    pq.write_table(ROWS, tmp_path / "some.parquet")
    with pytest.raises(KeyError, match="docs"):
        read_parquet(LocalStore(str(tmp_path)), {"path": "some.parquet"}, ["doc", "docs"])
