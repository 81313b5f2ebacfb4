"""The command line as users and schedulers meet it: messages and exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.commands import winnow
from tests.support.configs import sample_config
from tests.support.corpora import articles, write_sample
from winnow.report.printable import printable


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("commands")
    write_sample(folder / "data", 40)
    (folder / "c.yaml").write_text(yaml.safe_dump(sample_config(folder / "data", folder / "run")))
    code, output = winnow("run", str(folder / "c.yaml"))
    assert code == 0, output
    return folder / "c.yaml", folder / "run"


def test_run_ends_with_a_table(finished):
    code, output = winnow("run", str(finished[0]))
    assert code == 0
    for part in (
        "records from",
        "kept",
        "near_duplicate",
        "unreadable",
        "tokenise",
        "train",
        "the books close",
        "MB/s",
    ):
        assert part in output, part


def test_plan_says_what_is_done_and_touches_nothing(finished, tmp_path):
    code, output = winnow("plan", str(finished[0]))
    assert code == 0
    assert "shards" in output
    code, output = winnow("plan", str(finished[0]), "--set", f"run={tmp_path}/other")
    assert code == 0
    assert "after the stage before it" in output
    assert not (tmp_path / "other").exists()


def test_why_and_verify(finished):
    _, run = finished
    code, output = winnow("why", "web/1", str(run))
    assert code == 0
    assert "outcome    kept" in output
    assert "split" in output
    code, output = winnow("why", "web-0.jsonl", str(run))
    assert code == 0
    assert "malformed" in output.lower() or "json" in output.lower()
    code, output = winnow("why", "no such id", str(run))
    assert code == 2
    code, output = winnow("verify", str(run))
    assert code == 0
    assert "shards match the manifest" in output


MISTAKES = {
    "did you mean 'sources'": "run: r\nsorces: []",
    "no file matches": "run: r\nsources: [{name: a, path: nowhere/*.jsonl}]",
    "o300k": "run: r\nsources: [{name: a, path: c.yaml, format: text}]\ntokenise: {encoding: o300k}",
    "c.yaml: source 'a' cannot tell what this file holds": "run: r\nsources: [{name: a, path: .}]",
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_end_with_code_2_and_a_message(tmp_path, monkeypatch, message):
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(MISTAKES[message])
    code, output = winnow("run", "c.yaml")
    assert code == 2
    assert message in output
    assert not Path("r").exists()


def test_a_mistake_ends_a_process_with_code_2_and_no_traceback(tmp_path):
    (tmp_path / "c.yaml").write_text("run: r\nsources: [{name: a, path: nowhere/*.jsonl}]")
    result = subprocess.run(
        [sys.executable, "-m", "jobs", "run", "c.yaml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert "no file matches" in result.stderr
    assert "Traceback" not in result.stderr


def test_too_much_unreadable_ends_with_code_2(finished, tmp_path):
    code, output = winnow(
        "run", str(finished[0]), "--set", "compute.max_unreadable_share=0", "--set", f"run={tmp_path}/r"
    )
    assert code == 2
    assert "cannot be read" in output


def test_an_unwritable_output_is_named(finished, tmp_path):
    (tmp_path / "file").write_text("in the way")
    code, output = winnow("run", str(finished[0]), "--set", f"run={tmp_path}/file/run")
    assert code == 2
    assert "file/run" in output
    code, output = winnow("run", str(finished[0]), "--set", "run=/proc/no-such-run")
    assert code == 1
    assert "/proc/no-such-run" in output


def test_init_writes_a_config_once(tmp_path):
    path = tmp_path / "winnow.yaml"
    assert winnow("init", str(path))[0] == 0
    assert "sequence_tokens: 4096" in path.read_text()
    assert winnow("init", str(path))[0] == 2
    assert winnow("schema")[0] == 0


def test_ten_lines_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, told = winnow("init", "mine.yaml", "--minimal")
    assert code == 0, told
    assert winnow("init", "--minimal", "-")[1] == (tmp_path / "mine.yaml").read_text().replace("mine", "winnow", 1)
    (tmp_path / "data" / "deeper").mkdir(parents=True)
    rows = [json.dumps({"text": text}) for text in articles(5, 40)]
    (tmp_path / "data" / "deeper" / "a.jsonl").write_text("\n".join(rows))
    code, told = winnow("run", "mine.yaml", "--set", "compute.executor=inline")
    assert code == 0, told
    assert f"{len(rows)} records from 1 files" in told
    assert list((tmp_path / "runs" / "first" / "shards").glob("*/train-*.parquet"))
    code, told = winnow("init", "other.yaml", "--minimal", "--recipe", "dclm")
    assert code == 2
    assert "give one of them" in told


def test_help_is_there_for_every_command():
    for command in ("run", "plan", "why", "verify", "init", "schema", "audit"):
        code, output = winnow(command, "--help")
        assert code == 0
        assert len(output) > 200


def test_hostile_text_does_not_reach_the_terminal():
    assert printable("a\x1b[31mred\x07\u202e\nline") == "a\\x1b[31mred\\x07\\u202e\nline"
    assert printable("a\nb", lines=False) == "a\\nb"


def test_help_needs_no_heavy_imports():
    code = (
        "import sys; from jobs.__main__ import app\n"
        "heavy = {'ray', 'numba', 'pyarrow', 'numpy', 'pydantic'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_kernels_leave_ray_alone():
    code = (
        "import sys, pkgutil, importlib\n"
        "for package in ('text', 'dedup', 'tokens', 'shards', 'sources'):\n"
        "    module = importlib.import_module(f'winnow.{package}')\n"
        "    for info in pkgutil.walk_packages(module.__path__, module.__name__ + '.'):\n"
        "        importlib.import_module(info.name)\n"
        "loaded = [m for m in sys.modules if m == 'ray' or m.startswith(('winnow.engine', 'winnow.stages'))]\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
