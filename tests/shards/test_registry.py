"""What the registry says of every format, against what is written: files, requests, columns."""

from pathlib import Path

import numpy as np
import pytest

from winnow.errors import FormatError
from winnow.shards.formats.formats import FORMATS, check_formats
from winnow.shards.formats.shard_format import ShardFormat, ShardId
from winnow.shards.packed_rows import PackedRows
from winnow.stages.shards.shard_files import write_format
from winnow.storage.config import StorageConfig
from winnow.storage.local_store import LocalStore
from winnow.storage.open_store import open_store
from winnow.storage.traffic import counted_traffic

SETTINGS = {"compression": "none", "vocabulary_size": 60_000, "joined_by": None}
ROWS = np.arange(24, dtype=np.uint16).reshape(3, 8)


def packed(name: str) -> PackedRows:
    columns = {"loss_mask": np.ones_like(ROWS, np.uint8)} if FORMATS.get(name).columns != () else {}
    return PackedRows(ROWS, np.array([8, 4, 4, 8], np.uint32), np.array([0, 1, 3, 4]), columns)


@pytest.mark.parametrize("name", FORMATS)
def test_files_of_a_shard_are_those_that_estimates_count(tmp_path, name):
    rows = packed(name)
    write_format(LocalStore(str(tmp_path)), name, ShardId("set", "train", 0, 1), rows, SETTINGS)
    written = [path for path in Path(tmp_path).rglob("*") if path.is_file()]
    assert len(written) == FORMATS.get(name).files_a_shard(rows.columns)


@pytest.mark.parametrize("name", FORMATS)
def test_requests_of_a_shard_are_those_that_estimates_count(tmp_path, name):
    pytest.importorskip("fsspec", reason="fsspec is not installed (extra `s3`)")
    store = open_store(f"memory://{tmp_path.name}", StorageConfig(scratch=str(tmp_path / "scratch")))
    chosen, rows = FORMATS.get(name), packed(name)
    with counted_traffic() as asked:
        write_format(store, name, ShardId("set", "train", 0, 1), rows, SETTINGS)
    links = len(chosen.links)
    assert asked["objects.put"] == chosen.files_a_shard(rows.columns) - links
    assert asked.get("objects.copy", 0) == links
    assert (asked.get("objects.get", 0) > 0) == (chosen.reads_after_writing > 0)


def test_names_and_suffixes_that_cannot_be_paths_are_refused():
    for wrong in ({"name": "a/b"}, {"name": "split"}, {"suffix": "bin"}, {"suffix": ".a.b"}, {"sidecars": ("../x",)}):
        with pytest.raises(ValueError, match="must be|must have"):
            ShardFormat(**{"name": "a", "suffix": ".a", "write": print} | wrong)


def test_columns_that_follow_from_the_vocabulary_are_refused_before_any_work():
    check_formats(["parquet", "mds"], 10, 10, ["token_type_ids", "label", "docs"])
    check_formats(["raw"], 10, 10, ["loss_mask", "docs"])
    with pytest.raises(FormatError, match="raw shards have no place for token_type_ids; write parquet or mds"):
        check_formats(["parquet", "raw"], 10, 10, ["token_type_ids"])
    with pytest.raises(FormatError, match="litdata shards have no place for label; write parquet or mds"):
        check_formats(["litdata"], 10, 10, ["label"])
