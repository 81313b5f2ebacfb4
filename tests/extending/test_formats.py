"""A shard format of another package takes part like a built-in one."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.extending.packages import install, uninstall
from tests.support.commands import winnow
from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from winnow.audit.verify.verify import check_shards
from winnow.config.config import Config, parse_config
from winnow.engine.engine import StageFailedError
from winnow.errors import ConfigError
from winnow.finished.convert import convert
from winnow.runs.run import run
from winnow.runs.state import load_run

GROUP = "winnow.formats"
SHARDS = {"sequence_tokens": 63, "shard_tokens": 4000, "splits": {"val": 0.1}}


def config_of(tmp_path: Path, **shards) -> Config:
    if not (tmp_path / "data").exists():
        write_sample(tmp_path / "data", 20)
    return parse_config(sample_config(tmp_path / "data", tmp_path / "run", shards=SHARDS | shards))


def current(tmp_path: Path) -> Path:
    return tmp_path / "run" / json.loads((tmp_path / "run" / "state.json").read_text())["shards"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def parquet_files(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(folder).items() if name.endswith(".parquet")}


def test_a_run_writes_verifies_reads_and_converts_it(tmp_path, site):
    install(site, "u32", GROUP, {"u32": "FORMAT"})
    run(config_of(tmp_path, formats=["u32", "parquet"]))
    both = current(tmp_path)
    finished = load_run(str(tmp_path / "run"))
    shards = finished.manifest["shards"]
    assert shards["format"] == "parquet" and list(shards["formats"]) == ["u32"]
    assert finished.manifest["versions"]["shard format u32"] == "winnow-u32 1.0"
    files = {name for name in contents(both) if name.startswith("u32/")}
    assert {Path(name).suffix for name in files} == {".u32", ".json"} and len(files) >= 4
    for name in files:
        if name.endswith(".u32"):
            ids = np.fromfile(both / name, "<u4").reshape(-1, 64)
            assert ids.tolist() == pq.read_table(both / f"{Path(name).stem}.parquet").column("input_ids").to_pylist()
    assert check_shards(finished) == []
    victim = next((both / "u32" / "train").glob("*.json"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1])
    (fault,) = check_shards(finished)
    assert f"{victim.name}: cut" in fault
    victim.write_bytes(whole)

    run(config_of(tmp_path, formats=["u32"]))
    alone, folder = current(tmp_path), str(tmp_path / "run")
    assert check_shards(load_run(folder)) == []
    code, output = winnow("shards", "head", folder, "--rows", "2")
    assert code == 0 and "row 1 of train" in output and "u32/train/train-00000" in output, output
    assert winnow("shards", "stats", folder)[0] == 0

    # there and back again, the manifest too
    convert(load_run(folder), "parquet", str(tmp_path / "parquet"))
    assert parquet_files(tmp_path / "parquet") == parquet_files(both)
    run(config_of(tmp_path, formats=["parquet"]))
    convert(load_run(folder), "u32", str(tmp_path / "u32"))
    assert contents(tmp_path / "u32") == contents(alone)

    install(site, "u32", GROUP, {"u32": "FORMAT"}, "1.1")  # another version writes anew
    run(config_of(tmp_path, formats=["u32"]))
    assert current(tmp_path) != alone
    uninstall(site)
    with pytest.raises(
        ConfigError, match=r"shards.formats.0: 'u32' is no known shard format; known here: parquet, raw"
    ):
        config_of(tmp_path, formats=["u32"])
    code, output = winnow("shards", "convert", folder, "--format", "u23")
    assert code == 2 and "'u23' is no known shard format" in output


def test_rows_that_it_has_no_place_for_are_refused_before_any_work(tmp_path, site):
    install(site, "u32", GROUP, {"u32": "FORMAT"})
    for more in ({"columns": ["loss_mask"]}, {"row": "document"}):
        with pytest.raises(ConfigError, match="u32 shards have no place for .*; write parquet or"):
            config_of(tmp_path, formats=["u32"], **more)


FAULTY = """
from winnow.shards.formats.shard_format import ShardFormat

def write(packed, sink):
    sink.write([b"x"], ".more")

FORMAT = ShardFormat(name="less", suffix=".less", write=write)
"""


def test_a_format_that_writes_something_else_than_it_says_is_named(tmp_path, site):
    install(site, "less", GROUP, {"less": "FORMAT"}, code=FAULTY)
    with pytest.raises(StageFailedError, match="'less' wrote .more, and says that it writes the main file"):
        run(config_of(tmp_path, formats=["less"]))
