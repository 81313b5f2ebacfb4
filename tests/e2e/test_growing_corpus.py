"""`winnow run --new-only`: night after night, one shard set more, and a list of all of them."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import yaml

import winnow as winnow_api
from tests.support.commands import winnow
from tests.support.configs import night_config
from tests.support.corpora import articles
from tests.support.finished import ledger
from winnow.config.config import parse_config
from winnow.engine.lease import hold_lease
from winnow.errors import ConfigError, LeaseHeldError
from winnow.index.folder import Index
from winnow.runs.corpus import add_new_inputs, is_unchanged
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.shards.dataset.several_sets import CORPUS
from winnow.storage.local_store import LocalStore

ROOT = Path(__file__).parents[2]


def write_night(folder: Path, addition: int) -> Path:
    """30 documents of a night's own and 30 that the night before had."""
    folder.mkdir(exist_ok=True)
    texts = articles(addition, 30)[:30] + (articles(addition - 1, 30)[:30] if addition else [])
    path = folder / f"{addition}.jsonl"
    path.write_text("".join(json.dumps({"id": f"{addition}-{n}", "text": t}) + "\n" for n, t in enumerate(texts)))
    return path


def config(folder: Path, **sections) -> dict:
    values = night_config(folder / "corpus", [], None, **sections)
    values["sources"][0]["path"] = f"{folder}/raw/*.jsonl"
    return values


def sets(folder: Path) -> list[dict]:
    return orjson.loads((folder / "corpus" / CORPUS).read_bytes())["sets"]


def test_three_nights_and_quiet_ones(tmp_path):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config(tmp_path)))
    line = ["run", str(tmp_path / "c.yaml"), "--new-only"]
    seen = []
    for addition in range(3):
        write_night(tmp_path / "raw", addition)
        code, output = winnow(*line, "--as", f"2026-11-2{addition}")
        assert code == 0, output
        seen.append((tmp_path / "corpus" / CORPUS).read_bytes())
        code, output = winnow(*line, "--as", f"2026-11-2{addition}", "--if-changed")
        assert code == 0, output
        assert "nothing is new" in output
    corpus = str(tmp_path / "corpus")
    for command in ("status", "summary", "dropped", "kept", "tune", "report", "datasheet", "verify"):
        code, output = winnow(command, corpus)
        assert code == (2 if command == "verify" else 0), output
        assert "a corpus of 3 shard sets" in output and "2026-11-22" in output
        assert (tmp_path / "corpus" / CORPUS).read_bytes() == seen[-1]
    for night, name in enumerate(("2026-11-20", "2026-11-21", "2026-11-22")):  # any night's document is found
        kept = next(key for key, row in ledger(tmp_path / "corpus" / "sets" / name).items() if row["outcome"] == "kept")
        code, output = winnow("why", kept, corpus)
        assert code == 0 and f"run        {corpus}/sets/{name}\n" in output, (night, output)
    code, output = winnow("summary", f"{corpus}/index")
    assert code == 2 and "an index that runs share, and no run; `winnow index ls" in output
    listed = sets(tmp_path)
    assert [entry["name"] for entry in listed] == ["2026-11-20", "2026-11-21", "2026-11-22"]
    for number, entry in enumerate(listed):
        manifest = (tmp_path / "corpus" / entry["manifest"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(manifest).hexdigest()
        kept = orjson.loads(manifest)["books"]["outcomes"]["kept"]
        assert kept == sum(split["documents"] for split in entry["splits"].values())
        decided = ledger(tmp_path / "corpus" / "sets" / entry["name"])
        assert len(decided) == (60 if number else 30)  # its own file alone
        assert all(row["outcome"] != "kept" for name, row in decided.items() if int(name.split("-")[1]) >= 30)
    totals = orjson.loads(seen[-1])["totals"]
    assert totals["train"]["tokens"] == sum(entry["splits"]["train"]["tokens"] for entry in listed)
    assert orjson.loads(seen[0])["sets"] == listed[:1]


@pytest.mark.slow
def test_sets_have_the_bytes_of_runs_with_an_index_and_no_clock(tmp_path):
    for addition in range(2):
        write_night(tmp_path / "raw", addition)
        add_new_inputs(parse_config(config(tmp_path)))
        files = [tmp_path / "raw" / f"{n}.jsonl" for n in range(addition + 1)]
        run(parse_config(night_config(tmp_path / f"run-{addition}", files, tmp_path / "index")))
        mine = load_run(str(tmp_path / "corpus" / "sets" / f"{addition:05d}")).manifest["shards"]
        assert mine == load_run(str(tmp_path / f"run-{addition}")).manifest["shards"]


def test_a_night_that_failed_goes_on_under_its_number(tmp_path, monkeypatch):
    write_night(tmp_path / "raw", 0)
    with monkeypatch.context() as patched:
        patched.setattr("winnow.stages.tokenise.tokenise.run", lambda unit, workspace: 1 / 0)
        with pytest.raises(RuntimeError, match="tokenise"):
            add_new_inputs(parse_config(config(tmp_path)))
    assert not (tmp_path / "corpus" / CORPUS).exists()
    context = add_new_inputs(parse_config(config(tmp_path)))
    assert context is not None
    assert any(summary.reused for summary in context.engine.summaries)
    assert [entry["name"] for entry in sets(tmp_path)] == ["00000"]


def test_a_death_between_the_segment_and_the_list_is_healed(tmp_path):
    write_night(tmp_path / "raw", 0)
    add_new_inputs(parse_config(config(tmp_path)))
    before = (tmp_path / "corpus" / CORPUS).read_bytes()
    (tmp_path / "corpus" / CORPUS).unlink()
    assert add_new_inputs(parse_config(config(tmp_path))) is None
    assert (tmp_path / "corpus" / CORPUS).read_bytes() == before


def test_what_cannot_be(tmp_path):
    write_night(tmp_path / "raw", 0)
    add_new_inputs(parse_config(config(tmp_path)), "a")
    write_night(tmp_path / "raw", 1)
    with pytest.raises(ConfigError, match=r"shard set a is out, and 1 input files are new since"):
        add_new_inputs(parse_config(config(tmp_path)), "a")
    with pytest.raises(ConfigError, match="expected letters"):
        add_new_inputs(parse_config(config(tmp_path)), "../a")
    off = config(tmp_path) | {"dedup": False}
    with pytest.raises(ConfigError, match="needs `dedup`"):
        add_new_inputs(parse_config(off))
    with pytest.raises(ConfigError, match="a run folder, not a corpus"):
        add_new_inputs(parse_config(config(tmp_path) | {"run": str(tmp_path / "corpus" / "sets" / "a")}))
    with hold_lease(LocalStore(str(tmp_path / "corpus"))), pytest.raises(LeaseHeldError, match="the corpus belongs to"):
        add_new_inputs(parse_config(config(tmp_path)))
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config(tmp_path)))
    assert winnow("run", str(tmp_path / "c.yaml"), "--as", "x")[0] == 2
    assert list(Index(str(tmp_path / "corpus" / "index")).segments()) == [0]


def test_nights_of_labelled_documents_need_their_labels_named(tmp_path):
    values = config(tmp_path, shards={"row": "document", "sequence_tokens": 16})
    write_night(tmp_path / "raw", 0)
    values["sources"][0]["label"] = "id"
    with pytest.raises(ConfigError, match=r"name all labels in shards\.labels"):
        add_new_inputs(parse_config(values))


def test_if_changed_without_new_only(tmp_path):
    file = write_night(tmp_path / "raw", 0)
    plain = parse_config(config(tmp_path))
    assert not is_unchanged(plain)
    run(plain)
    assert is_unchanged(plain)
    other = config(tmp_path)
    assert is_unchanged(parse_config(other | {"compute": {"executor": "inline", "unit_mb": 3}}))
    assert not is_unchanged(parse_config(other | {"shards": other["shards"] | {"seed": 5}}))
    os.utime(file, ns=(1, 1))
    assert not is_unchanged(plain)


@pytest.mark.slow
def test_the_nightly_script_of_one_machine(tmp_path):
    """cron calls this script; a second one at the same time does nothing, and its exit code is winnow's."""
    program = tmp_path / "bin" / "winnow"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m jobs "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    shutil.copy(ROOT / "cluster" / "cron" / "nightly.sh", tmp_path / "nightly.sh")
    (tmp_path / "nightly.yaml").write_text(yaml.safe_dump(config(tmp_path)))
    line = ["bash", str(tmp_path / "nightly.sh"), str(tmp_path / "nightly.yaml"), "2026-11-21"]
    environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    write_night(tmp_path / "raw", 0)
    first = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    again = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert (again.returncode, "nothing is new" in again.stdout) == (0, True)
    assert [entry["name"] for entry in sets(tmp_path)] == ["2026-11-21"]
    with (tmp_path / "nightly.yaml.lock").open("w") as lock:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)
        held = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert held.returncode == 3


def test_sets_of_a_corpus_below_its_source_are_not_read(tmp_path):
    values = config(tmp_path)
    values["sources"][0] |= {"path": str(tmp_path), "format": "jsonl"}
    for addition in range(2):
        path = write_night(tmp_path / "raw", addition)
        context = add_new_inputs(parse_config(values))
        assert [file.path for file in context.run.files] == [str(path)]
    assert add_new_inputs(parse_config(values)) is None


def test_all_nights_are_opened_and_read_as_one(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed (extra `gpu`)")
    for addition in range(2):
        write_night(tmp_path / "raw", addition)
        add_new_inputs(parse_config(config(tmp_path)), f"2026-11-2{addition}")
    corpus = tmp_path / "corpus"
    runs = winnow_api.open([corpus])
    assert (len(runs), runs.names) == (2, ("2026-11-20", "2026-11-21"))
    assert runs["2026-11-21"].path == runs[-1].path == runs[1:][0].path == f"{corpus}/sets/2026-11-21"
    assert runs.outcomes == {name: runs[0].outcomes.get(name, 0) + number for name, number in runs[1].outcomes.items()}
    one_by_one = winnow_api.open([run.path for run in runs])
    assert repr(one_by_one) == f"winnow.open({[run.path for run in runs]!r})"
    read = [row.tolist() for tokens, _ in runs.dataset(batch_size=2) for row in tokens]
    again = one_by_one.dataset(batch_size=2)
    assert read == [row.tolist() for tokens, _ in again for row in tokens]
    apart = [row.tolist() for run in runs for tokens, _ in run.dataset(batch_size=1) for row in tokens]
    assert len(apart) - len(read) in (0, 1)  # batches of 2: an odd row at the end is left out
    assert {*map(tuple, read)} <= {*map(tuple, apart)}
    assert len(winnow_api.open([corpus, runs[0].path])) == 3
    with pytest.raises(winnow_api.ShardError, match="hold the same rows"):
        winnow_api.open([corpus, runs[0].path]).dataset()
    with pytest.raises(KeyError, match="none of 2026-11-20, 2026-11-21"):
        runs["2026-11-19"]
    with pytest.raises(ConfigError, match="no runs"):
        winnow_api.open([])
    with pytest.raises(ConfigError, match="no such folder"):
        winnow_api.open([corpus, tmp_path / "nothing"])
