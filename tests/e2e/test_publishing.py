"""A shard set that is being read while another run publishes its own, and a publish that is killed in the middle."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import orjson
import pytest
import yaml

from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from winnow.audit.verify.verify import check_shards
from winnow.config.config import parse_config
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.shards.dataset.batches import BatchForm
from winnow.shards.dataset.steps import ReaderRank
from winnow.shards.dataset.stream import SampleStream, Source


def killed_before_the_second_shard(point: str, **where) -> None:
    """A hook (:mod:`winnow.fault_point`): kill -9 when the second shard file is about to get its name."""
    if point == "publish" and where["path"].startswith("shards/") and "-00001-of-" in where["path"]:
        os.kill(os.getpid(), signal.SIGKILL)


def config(folder: Path, seed: int) -> dict:
    sections = {"shards": {"sequence_tokens": 63, "shard_tokens": 4000, "seed": seed}}
    described = sample_config(folder / "in", folder / "run", **sections)
    described["compute"] = {"executor": "inline", "unit_mb": 1, "max_unreadable_share": 0.1}
    return described


def rows_of(folder: Path) -> list[list[int]]:
    stream = SampleStream(Source(str(folder)).reader())
    return [row for _, batch in batches(stream) for row in batch["input_ids"].tolist()]


def batches(stream: SampleStream):
    return stream.batches(ReaderRank(), 4, BatchForm(np.dtype("int64")))


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*.*"))}


@pytest.mark.slow
def test_a_published_set_stands_whatever_later_runs_do(tmp_path):
    write_sample(tmp_path / "in", 60)
    run(parse_config(config(tmp_path, 1)))
    first = tmp_path / "run" / load_run(str(tmp_path / "run")).shards
    rows, files = rows_of(first), files_of(first)
    assert len(list(first.glob("train-*"))) > 3
    reading = batches(SampleStream(Source(str(first)).reader()))
    seen = next(reading)[1]["input_ids"].tolist()  # one shard is open, the others are not yet

    # a run with another seed is killed between its files: the first set is still the current one, and whole
    path = tmp_path / "second.yaml"
    path.write_text(yaml.safe_dump(config(tmp_path, 2)))
    hook = {"WINNOW_FAULT_HOOK": f"{__name__}:killed_before_the_second_shard"}
    root = Path(__file__).resolve().parents[2]
    line = [sys.executable, "-m", "jobs", "run", str(path)]
    done = subprocess.run(line, env={**os.environ, **hook}, cwd=root, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    half = [folder for folder in (tmp_path / "run" / "shards").iterdir() if folder != first]
    assert len(half) == 1
    assert list(half[0].glob("train-00000-*"))
    assert not (half[0] / "manifest.json").exists()
    finished = load_run(str(tmp_path / "run"))
    assert tmp_path / "run" / finished.shards == first
    assert check_shards(finished) == []

    # the same command goes on and publishes its set beside the first one, whose files are not touched
    run(parse_config(config(tmp_path, 2)))
    finished = load_run(str(tmp_path / "run"))
    second = tmp_path / "run" / finished.shards
    assert second == half[0]
    assert check_shards(finished) == []
    assert files_of(first) == files
    seen += [row for _, batch in reading for row in batch["input_ids"].tolist()]
    assert seen == rows
    assert sorted(map(tuple, rows)) != sorted(map(tuple, rows_of(second)))
    assert orjson.loads((tmp_path / "run" / "state.json").read_bytes())["shards"] == f"shards/{second.name}"
