"""What a process is at, told by the clock."""

import logging
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from winnow.engine import doing as module
from winnow.engine.doing import doing, told_by_the_clock
from winnow.engine.progress import StageProgress
from winnow.engine.records import Unit
from winnow.numeric import cache_folder


@pytest.fixture
def lines(monkeypatch, caplog):
    monkeypatch.setattr(module, "TELL_EVERY_SECONDS", 0.05)
    logging.getLogger("winnow").propagate = True
    with caplog.at_level(logging.INFO, "winnow"):
        yield caplog


def wait_for(lines, text: str) -> None:
    deadline = time.monotonic() + 20
    while text not in lines.text:
        assert time.monotonic() < deadline, lines.text
        time.sleep(0.01)


def test_the_innermost_is_told_again_and_again(lines):
    with told_by_the_clock(), doing("at the whole"):
        wait_for(lines, "at the whole (0 s since the start)")
        with doing(lambda: "at a part"), told_by_the_clock():
            wait_for(lines, "at a part")
            lines.clear()
            wait_for(lines, "at a part")
            assert "whole" not in lines.text
        lines.clear()
        wait_for(lines, "at the whole")
    lines.clear()
    time.sleep(0.2)
    assert lines.text == ""


def test_a_stage_is_told_while_no_unit_ends(lines):
    unit = Unit(0, {}, 5)
    with StageProgress("slow", [unit], [unit]):
        wait_for(lines, "slow: 0/1 units, 0.0 MB/s, time left unknown, 0 failed (0 s")


def test_kernels_that_are_not_compiled_are_known(monkeypatch, tmp_path):
    monkeypatch.setattr(cache_folder, "CACHE_FOLDER", str(tmp_path))
    assert cache_folder.is_compiled("measure") is False
    for name in cache_folder.KERNEL_SETS["measure"]:
        assert cache_folder.is_compiled("measure") is False
        (tmp_path / f"{name}.compiled").touch()
    assert cache_folder.is_compiled("measure") is True
    assert cache_folder.is_compiled("filter") is None


def test_what_measure_waits_for_are_its_sets_of_kernels(monkeypatch):
    from winnow.dedup.minhash_config import MinHashConfig
    from winnow.stages.ingest import measure
    from winnow.text.config import MeasureConfig

    asked = []
    monkeypatch.setattr(measure, "compile_each", asked.extend)
    stage = measure.stage(MeasureConfig(), MinHashConfig(bands=32, rows=8), None, {})
    measure._kernels.__wrapped__(orjson.dumps(stage.settings))
    assert tuple(asked) == cache_folder.KERNEL_SETS["measure"]


def test_the_first_line_comes_before_anything_heavy(tmp_path):
    """Within two seconds; a busy machine has more time here. What would cost most is named below."""
    config = tmp_path / "config.yaml"
    config.write_text(f"run: {tmp_path}/run\nsources: [{{name: s, path: {tmp_path}/none.jsonl}}]\n")
    code = (
        "import logging, sys\n"
        "class Told(Exception): pass\n"
        "def info(self, *_): raise Told(sorted({'numba', 'pyarrow', 'ray', 'pydantic', 'torch'} & set(sys.modules)))\n"
        "logging.Logger.info = info\n"
        "from jobs.run import run\n"
        f"run({str(config)!r})"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60, check=False
    )
    assert "Told: []" in done.stderr
