"""Where a run is refused before it writes anything: folders that do not stay, and folders of something else."""

import json
import logging
import os

import pytest
import yaml

from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from winnow.config.config import parse_config
from winnow.errors import AddressError, ConfigError
from winnow.runs.corpus import add_new_inputs
from winnow.runs.folder import check_folder
from winnow.storage.local_store import LocalStore
from winnow.storage.open_store import open_store

SESSION = "ray/session_2026-11-29_10-00-00_000000_7"


@pytest.fixture
def job(tmp_path, monkeypatch):
    """What a job of `ray job submit --working-dir` has as its current folder."""
    folder = tmp_path / SESSION / "runtime_resources/working_dir_files/_ray_pkg_0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / "in.jsonl").write_text('{"id": "a", "text": "Words of one document alone, which nobody repeats."}\n')
    monkeypatch.chdir(folder)
    return folder


def written(config: dict) -> str:
    with open("c.yaml", "w", encoding="utf-8") as file:
        yaml.safe_dump(config, file)
    return "c.yaml"


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"run": "run"}, ["run"]),
        ({"run": "./run"}, ["run", "--new-only"]),
        ({"dedup": {"index": "index"}}, ["run"]),
        ({"dedup": {"index": "index"}}, ["run", "--new-only"]),
        ({"run": "run"}, ["train-tokenizer"]),
        ({}, ["train-tokenizer", "--out", "tokenizer"]),
        ({"run": "run"}, ["plan"]),
    ],
)
def test_nothing_durable_is_written_below_the_code_of_a_job(job, tmp_path, sections, line):
    config = run_config(tmp_path / "run", source_of("in.jsonl")) | sections
    code, told = winnow(line[0], written(config), *line[1:])
    assert code == 2, told
    assert "Ray's temporary folder of uploaded code" in told and "absolute path" in told
    assert sorted(os.listdir()) == ["c.yaml", "in.jsonl"]
    assert not (tmp_path / "run").exists()


def test_a_link_into_it_and_the_store_itself_are_refused(job, tmp_path):
    (tmp_path / "link").symlink_to(job)
    for root in ("run", str(tmp_path / "link" / "run"), str(tmp_path / SESSION / "runtime_resources/py_modules_files")):
        store = LocalStore(root)
        with pytest.raises(AddressError, match="uploaded code"):
            store.replace("a", b"")
        with pytest.raises(AddressError, match="uploaded code"):
            store.create_exclusive("a", b"")
    LocalStore(str(tmp_path / SESSION / "results")).replace("a", b"")  # no code of a job: the user's own choice


def corpus(tmp_path) -> dict:
    source = source_of(tmp_path / "raw" / "*.jsonl", id="id")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "0.jsonl").write_text(json.dumps({"id": "a", "text": "The words of a first night."}) + "\n")
    return run_config(tmp_path / "corpus", source)


def test_an_ordinary_run_in_the_folder_of_a_corpus_is_refused(tmp_path):
    config = corpus(tmp_path)
    add_new_inputs(parse_config(config))
    before = sorted(path.name for path in (tmp_path / "corpus").iterdir())
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    for command in ("run", "plan", "train-tokenizer"):
        code, told = winnow(command, str(tmp_path / "c.yaml"))
        assert code == 2, told
        assert "winnow run CONFIG --new-only" in told
    assert sorted(path.name for path in (tmp_path / "corpus").iterdir()) == before
    (tmp_path / "corpus" / "corpus.json").unlink()  # as where the first night has not finished
    with pytest.raises(ConfigError, match="--new-only"):
        check_folder(parse_config(config), open_store(config["run"]))


def test_a_corpus_that_holds_an_ordinary_run_says_how_to_go_on(tmp_path):
    config = parse_config(corpus(tmp_path))
    add_new_inputs(config)
    (tmp_path / "corpus" / "state.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"remove its state\.json"):
        add_new_inputs(config)
    (tmp_path / "corpus" / "state.json").unlink()
    assert add_new_inputs(config) is None


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (["a.txt", "b.txt", "c\x1b[31m.txt", "photos/d.jpg"], "4 files and folders that are no run's"),
        (["sets/1/notes.txt"], "1 files"),
        ([], None),
        (["lease.json", "index/index.json"], None),
        (["attempt.json", "my notes.txt"], None),
        (["catalogue.json", "work/x"], None),
    ],
)
def test_a_folder_full_of_other_files_is_told(tmp_path, caplog, files, told):
    run = tmp_path / "run"
    for name in files:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("x")
    config = parse_config(run_config(run, source_of("x"), dedup={"index": str(run / "index")}))
    with caplog.at_level(logging.WARNING, "winnow"):
        check_folder(config, open_store(str(run)))
    assert (told in caplog.text) if told else caplog.text == ""
    assert "\x1b" not in caplog.text
