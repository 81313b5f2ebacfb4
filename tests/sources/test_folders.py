"""Folders named key=value: their values are columns that can be kept."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.reading import read
from winnow.sources.folders import folder_values
from winnow.sources.read import odd_files
from winnow.sources.source import SourceConfig


def test_values_of_a_path():
    assert folder_values("in/lang=de/year=2024/a=b.jsonl") == {"lang": "de", "year": "2024"}
    hard = "s3://b/k%3D=x%20y%2Fz/c=__HIVE_DEFAULT_PARTITION__/=v/d=/a"
    assert folder_values(hard) == {"k=": "x y/z", "c": None, "d": ""}
    assert folder_values("a.jsonl") == {} == folder_values("/plain/a.jsonl")


def test_they_can_be_kept_and_a_record_s_own_field_goes_first(tmp_path):
    folder = tmp_path / "lang=de" / "site=a.b"
    folder.mkdir(parents=True)
    own = folder / "a.jsonl"
    own.write_text(json.dumps({"text": "a"}) + "\n" + json.dumps({"text": "b", "lang": "fr"}) + "\n")
    assert read(own, keep=["lang", "site", "year"]).keep == {
        "lang": ["de", "fr"],
        "site": ["a.b", "a.b"],
        "year": [None, None],
    }
    pq.write_table(pa.table({"text": ["a"]}), folder / "a.parquet")
    assert read(folder / "a.parquet", keep=["lang"]).keep == {"lang": ["de"]}
    (folder / "a.txt").write_text("plain")
    assert read(folder / "a.txt", keep=["lang"]).keep == {"lang": ["de"]}


@pytest.mark.parametrize(
    ("kind", "log"), [("Delta", "_delta_log/0.json"), ("Hudi", ".hoodie/x"), ("Iceberg", "metadata/v1.metadata.json")]
)
def test_a_table_whose_log_is_not_read_is_warned_of(tmp_path, kind, log):
    (tmp_path / "table" / log).parent.mkdir(parents=True)
    (tmp_path / "table" / log).write_text("{}")
    files = [str(tmp_path / "table" / "lang=de" / "a.parquet"), str(tmp_path / "other" / "b.parquet")]
    (warning,) = odd_files(SourceConfig(name="s", path=str(tmp_path)), files)
    assert f"{tmp_path}/table is a table of {kind}," in warning and "plain Parquet files" in warning
    assert odd_files(SourceConfig(name="s", path=str(tmp_path)), files[1:]) == []
