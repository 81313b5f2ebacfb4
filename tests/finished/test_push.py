"""Pushing a finished run: all of it and nothing else, the card last, whatever goes wrong on the way."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
import yaml

from tests.support.commands import winnow
from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from tests.support.fake_hub import TOKEN, FakeHub, Repository
from tests.support.finished import shards_of, text_files_of
from tests.support.processes import kill_when
from winnow.config.config import parse_config
from winnow.finished import push as pushing
from winnow.finished.hub_card import card
from winnow.finished.pushed_files import RunFiles, run_files
from winnow.flow.records import RunRecords
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.storage import object_files

NAME = "acme/tokens"
URL = f"hf://datasets/{NAME}"
SECTIONS = {
    "documents": {"formats": ["parquet", "jsonl.zst"]},
    "shards": {"sequence_tokens": 127, "shard_mb": 1, "splits": {"val": 0.1}, "formats": ["parquet", "raw"]},
    "storage": {"retries": 2},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A finished run."""
    at = tmp_path_factory.mktemp("push")
    write_sample(at / "data")
    run(parse_config(sample_config(at / "data", at / "run", **SECTIONS)))
    return at / "run"


@pytest.fixture
def finished(folder: Path) -> RunRecords:
    return load_run(str(folder))


@pytest.fixture
def written(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """The hub, which may be written."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(pushing, "FIRST_WAIT_SECONDS", 0.001)
    return hub


def push(folder: Path, *more: str, target: str = URL) -> tuple[int, str]:
    code, said = winnow("push", str(folder), target, *more)
    return code, " ".join(said.split())


def pushed(hub: FakeHub, branch: str = "main") -> dict[str, bytes]:
    return {path: data for path, data in hub.repositories[NAME].files(branch).items() if path != ".gitattributes"}


def header_of(content: bytes) -> dict:
    _, header, _ = content.decode().split("---\n", 2)
    return yaml.safe_load(header)


def test_a_run_is_pushed_as_a_whole(written: FakeHub, folder: Path) -> None:
    code, said = push(folder)
    assert code == 0, said
    files = pushed(written)
    manifest = load_run(str(folder)).manifest
    shards = {f"shards/{path}": sha for path, sha in shards_of(folder).items()}
    texts = {f"documents/{path}": sha for path, sha in text_files_of(folder).items()}
    assert shards
    assert texts
    for path, sha in (shards | texts).items():
        assert hashlib.sha256(files[path]).hexdigest() == sha
    assert orjson.loads(files["shards/manifest.json"]) == manifest
    raw = [path for path in files if path.startswith("shards/raw/")]
    made = {"README.md", "croissant.json", "shards/manifest.json", "documents/manifest.json"}
    listed = [file for file in orjson.loads(files["croissant.json"])["distribution"] if "contentUrl" in file]
    assert {file["contentUrl"] for file in listed} == {*files} - {"README.md", "croissant.json"}
    for file in listed:
        content = files[file["contentUrl"]]
        assert (file["contentSize"], file["sha256"]) == (f"{len(content)} B", hashlib.sha256(content).hexdigest())
    assert set(files) == {*shards, *texts, *raw, *made}
    assert any(path.endswith(".offsets") for path in raw)
    repository = written.repositories[NAME]
    assert repository.private
    assert repository.history[-1] == ["README.md"]
    assert f"{URL}@{repository.branches['main']}" in said
    assert all(TOKEN not in str(asked) for asked in written.requests(server="elsewhere"))


def test_the_card_says_what_the_manifest_says(written: FakeHub, folder: Path) -> None:
    push(folder)
    content = pushed(written)["README.md"]
    header, manifest = header_of(content), load_run(str(folder)).manifest
    assert header["license"] == ["cc0-1.0", "unknown"]
    assert header["size_categories"] == ["n<1K"]
    assert [config["config_name"] for config in header["configs"]] == ["tokens", "documents"]
    assert header["configs"][0]["data_files"] == [
        {"split": "train", "path": "shards/train-*.parquet"},
        {"split": "val", "path": "shards/val-*.parquet"},
    ]
    text = content.decode()
    for name, number in manifest["books"]["outcomes"].items():
        assert f"| {name.replace('_', chr(92) + '_')} | {number:,} |" in text
    for name, split in manifest["shards"]["splits"].items():
        assert f"| {name} | {split['documents']:,} | {split['tokens']:,} | {split['rows']:,} | 1 |" in text
    for path in ("shards/manifest.json", "documents/manifest.json"):
        assert f"- `{path}`: `{hashlib.sha256(pushed(written)[path]).hexdigest()}`" in text
    assert str(folder.parent / "data") not in text  # paths of sources stand in the manifest alone


def test_the_same_again_sends_nothing(written: FakeHub, folder: Path) -> None:
    push(folder)
    before = len(written.asked), len(written.repositories[NAME].history)
    code, said = push(folder)
    assert (code, len(written.repositories[NAME].history)) == (0, before[1])
    assert "0 of " in said
    assert not [asked for asked in written.asked[before[0] :] if asked.method in ("POST", "PUT")]


def test_a_dry_run_does_nothing(hub: FakeHub, folder: Path, monkeypatch) -> None:
    code, said = push(folder, "--dry-run")
    assert code == 0, said
    assert "would be made (private)" in said
    assert "send README.md" in said
    assert not hub.repositories
    assert not hub.requests("POST")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.repositories[NAME] = Repository({"other.txt": b"x"})
    code, said = push(folder, "--dry-run", "--replace", "--public")
    assert code == 0
    assert "is there" in said
    assert "remove other.txt" in said
    assert len(hub.repositories[NAME].history) == 1


@pytest.mark.parametrize("wrong", [500, 503, "hang up", "lost", 429, 409])
def test_a_passing_fault_passes(written: FakeHub, folder: Path, wrong, monkeypatch) -> None:
    monkeypatch.setattr(pushing, "FILES_A_COMMIT", 5)
    written.fail(2, wrong, method="POST", holds="/commit/")
    code, said = push(folder)
    assert code == 0, said
    history = written.repositories[NAME].history
    assert sorted(path for commit in history[1:] for path in commit) == sorted(pushed(written))  # each once
    assert all(len(commit) <= 5 for commit in history)
    assert history[-1] == ["README.md"]


def test_a_push_that_was_interrupted_goes_on(written: FakeHub, folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(pushing, "FILES_A_COMMIT", 4)
    commits = []

    def fault(server: str, method: str, path: str):
        commits.append("/commit/" in path)
        return 503 if sum(commits) > 2 and "/commit/" in path else None

    written.fault = fault
    code, said = push(folder)
    assert code == 1, said
    assert "the same command" in said
    half = pushed(written)
    assert half
    assert "README.md" not in half
    uploaded = {asked.path for asked in written.requests("PUT", server="elsewhere")}
    written.fault = lambda *_: None
    before = len(written.asked)
    code, said = push(folder)
    assert code == 0, said
    again = {asked.path for asked in written.asked[before:] if asked.method == "PUT"}
    assert again
    assert not {path.partition("?")[0] for path in again} & {path.partition("?")[0] for path in uploaded}
    history = written.repositories[NAME].history
    assert sorted(path for commit in history[1:] for path in commit) == sorted(pushed(written))


def test_an_upload_that_fails_is_told(written: FakeHub, folder: Path, monkeypatch) -> None:
    import huggingface_hub.utils._http as http

    monkeypatch.setattr(http.time, "sleep", lambda _seconds: None)
    written.fault = lambda server, method, path: 503 if method == "PUT" else None
    code, said = push(folder)
    assert code == 1, said
    assert "503" in said
    assert "secret" not in said  # of the signed address
    assert pushed(written) == {}
    written.fail(1, 403, method="PUT")  # a signature that has expired
    assert push(folder)[0] == 0


def test_what_others_wrote_is_not_touched(written: FakeHub, folder: Path) -> None:
    mine = Repository({".gitattributes": b"", "data/x.parquet": b"x", "README.md": b"theirs"})
    written.repositories[NAME] = mine
    code, said = push(folder)
    assert code == 2
    assert "holds 2 files that are not this run's (README.md, data/x.parquet)" in said
    assert len(mine.history) == 1
    code, said = push(folder, "--replace")
    assert code == 0, said
    assert mine.history[1] == ["README.md", "data/x.parquet"]
    assert mine.history[-1] == ["README.md"]
    assert "data/x.parquet" not in mine.files()
    assert ".gitattributes" in mine.files()


def test_somebody_who_pushes_at_the_same_time_is_noticed(written: FakeHub, folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(pushing, "FILES_A_COMMIT", 5)
    commits = []

    def fault(server: str, method: str, path: str) -> None:
        commits.append("/commit/" in path)
        if "/commit/" in path and sum(commits) == 2:
            written.repositories[NAME].commit({"theirs.txt": b"x"})

    written.fault = fault
    code, said = push(folder)
    assert code == 2
    assert "holds 1 files that are not this run's (theirs.txt)" in said
    assert "README.md" not in pushed(written)


def test_a_branch_holds_this_run_alone(written: FakeHub, folder: Path) -> None:
    written.repositories[NAME] = Repository({".gitattributes": b""})
    written.repositories[NAME].commit({"other.txt": b"of main"})
    code, said = push(folder, target=f"{URL}@v1")
    assert code == 0, said
    assert "README.md" in pushed(written, "v1")
    assert "other.txt" not in pushed(written, "v1")
    assert list(pushed(written)) == ["other.txt"]


def test_a_run_that_is_not_whole_is_refused(written: FakeHub, folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (shard,) = copy.glob("shards/*/val-*.parquet")
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.unlink()  # it may be linked
    shard.write_bytes(data)
    code, said = push(copy)
    assert code == 1
    assert "nothing was pushed" in said
    assert "altered" in said
    shard.unlink()
    code, said = push(copy)
    assert code == 1
    assert "missing" in said
    assert not written.repositories
    (copy / "state.json").unlink()
    code, said = push(copy)
    assert (code, "no run has finished here yet" in said) == (2, True)
    assert push(tmp_path / "none")[0] == 2


def test_who_may_not_write_is_told_what_to_do(hub: FakeHub, folder: Path, monkeypatch) -> None:
    code, said = push(folder)
    assert (code, "no token; set HF_TOKEN" in said) == (2, True)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_token")
    code, said = push(folder)
    assert (code, "does not know the token in HF_TOKEN" in said) == (2, True)
    assert "hf_wrong_token" not in said
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.fail(1, (403, {"X-Error-Message": "You need write access"}), method="POST", holds="/api/repos/create")
    code, said = push(folder)
    assert (code, "needs more rights" in said) == (2, True)
    for target, says in [
        ("s3://bucket/x", "expected hf://datasets/OWNER/NAME"),
        ("hf://acme/tokens", "names no data set"),
        (f"{URL}/sub", "as a whole"),
        (f"{URL}@{'0' * 40}", "name a branch"),
    ]:
        code, said = push(folder, target=target)
        assert (code, says in said) == (2, True), said


@pytest.mark.slow
def test_clean_text_that_was_exported_later_goes_along(written: FakeHub, tmp_path: Path) -> None:
    write_sample(tmp_path / "data")
    sections = {**SECTIONS, "documents": None}
    run(parse_config(sample_config(tmp_path / "data", tmp_path / "run", **sections)))
    files = {file.path for file in run_files(load_run(str(tmp_path / "run"))).files}
    assert not any(path.startswith("documents/") for path in files)
    assert winnow("export", "documents", str(tmp_path / "run"))[0] == 0
    files = {file.path for file in run_files(load_run(str(tmp_path / "run"))).files}
    assert "documents/train-00000-of-00001.parquet" in files
    assert winnow("export", "documents", str(tmp_path / "run"), "--column", "text")[0] == 0
    code, said = push(tmp_path / "run")
    assert (code, "holds 2 exports of clean text" in said) == (2, True)
    (first, _) = sorted(path.name for path in (tmp_path / "run/documents").iterdir())
    code, said = push(tmp_path / "run", "--documents", first)
    assert code == 0, said
    assert "documents/manifest.json" in pushed(written)
    code, said = push(tmp_path / "run", "--documents", "none", "--replace")
    assert code == 0, said
    assert "documents/manifest.json" not in pushed(written)
    assert push(tmp_path / "run", "--documents", "other")[0] == 2


def test_what_the_config_says_is_text_in_the_card(finished: RunRecords) -> None:
    found = run_files(finished)
    hostile = "MIT |\n---\n# x <script>alert(1)</script> [a](javascript:x) `b` {{c}}"
    sources = {name: {**source, "licence": hostile} for name, source in found.manifest["sources"].items()}
    manifest = {**found.manifest, "sources": sources}
    text = card(RunFiles(found.files, manifest, found.documents), NAME, "1.0").decode()
    assert header_of(text.encode())["license"] == "other"
    body = text.split("---\n", 2)[2]
    assert "<script>" not in body
    assert not re.search(r"(?<!\\)\]\(javascript", body)
    assert "\n# x" not in body
    rows = [line for line in body.splitlines() if line.startswith("| web |")]
    assert len(rows) == 1


def test_splits_have_names_and_patterns_that_datasets_takes(finished: RunRecords) -> None:
    found = run_files(finished)
    split = found.manifest["shards"]["splits"]["train"]
    more = [{**split["shards"][0], "path": "train-extra-00000-of-00001.parquet"}]
    splits = {"train": split, "train-extra": {**split, "shards": more}, "none": {**split, "shards": []}}
    manifest = {**found.manifest, "shards": {**found.manifest["shards"], "splits": splits}}
    header = header_of(card(RunFiles(found.files, manifest, {}), NAME, "1.0"))
    assert header["configs"][0]["data_files"] == [
        {"split": "train", "path": ["shards/train-00000-of-00001.parquet"]},
        {"split": "train_extra", "path": "shards/train-extra-*.parquet"},
    ]


@pytest.mark.slow
def test_killed_in_the_middle_the_same_command_goes_on(written: FakeHub, folder: Path) -> None:
    program = (
        "import winnow.finished.push as p; p.FILES_A_COMMIT = 3; from jobs.__main__ import app; "
        f"app(['push', {str(folder)!r}, {URL!r}])"
    )
    line = [sys.executable, "-c", program]
    assert kill_when(line, lambda: NAME in written.repositories and len(written.repositories[NAME].history) > 2)
    half = pushed(written)
    assert half
    assert "README.md" not in half
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert TOKEN not in ended.stdout + ended.stderr
    history = written.repositories[NAME].history
    assert sorted(path for commit in history[1:] for path in commit) == sorted(pushed(written))
    assert history[-1] == ["README.md"]


@pytest.mark.slow
def test_a_pushed_set_is_read_back(written: FakeHub, folder: Path, tmp_path: Path) -> None:
    """By Winnow's own reader, from the hub."""
    push(folder)
    program = (
        "from winnow.shards import ShardDataset; import numpy as np; "
        f"at, cache = '{URL}/shards', {str(tmp_path / 'c')!r}; "
        "d = ShardDataset(at, 'train', batch_size=1, as_dict=True, shift=False, cache=cache); "
        "print(sum(int(np.asarray(b['input_ids']).sum()) for b in d))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    (shard,) = folder.glob("shards/*/train-*.parquet")
    rows = pq.read_table(shard, columns=["input_ids"]).column("input_ids").combine_chunks()
    assert int(ended.stdout) == sum(rows.flatten().to_pylist())


def test_runs_in_an_object_store_are_pushed_as_well(written: FakeHub, folder: Path) -> None:
    pytest.importorskip("fsspec", reason="fsspec is not installed (extra `s3`)")
    import fsspec

    files = fsspec.filesystem("memory")
    for path in (p for p in folder.rglob("*") if p.is_file()):
        files.pipe_file(f"memory://push/run/{path.relative_to(folder)}", path.read_bytes())
    object_files.forget_clients()
    try:
        code, said = winnow("push", "memory://push/run", URL)
        assert code == 0, said
        assert "README.md" in pushed(written)
    finally:
        files.rm("/push", recursive=True)
