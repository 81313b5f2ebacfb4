"""Runs over a data set of a hub: the shards of a local folder, at one commit whatever the branch does meanwhile."""

import logging
import re
import subprocess
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
import yaml

from tests.support.commands import winnow
from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from tests.support.fake_hub import TOKEN, FakeHub, Repository
from tests.support.finished import shards_of
from tests.support.processes import command
from winnow.config.config import parse_config
from winnow.config.hub_revisions import REVISIONS
from winnow.runs.run import run
from winnow.runs.state import load_run

NAME = "acme/web"
URL = f"hf://datasets/{NAME}"
STORAGE = {"retries": 2}


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    """Inputs, and the shards of a run on this disk."""
    folder = tmp_path_factory.mktemp("local")
    write_sample(folder / "data")
    run(parse_config(sample_config(folder / "data", folder / "run")))
    return folder


@pytest.fixture
def repository(hub: FakeHub, local: Path) -> Repository:
    found = hub.repositories[NAME] = Repository()
    files = {str(p.relative_to(local / "data")): p.read_bytes() for p in (local / "data").rglob("*") if p.is_file()}
    found.commit({"README.md": b"# a card", **files})
    return found


def shards_from(data: object, folder: Path, **sections) -> dict[str, str]:
    context = run(parse_config(sample_config(data, folder, storage=STORAGE, **sections)))
    assert context.run.files
    return shards_of(folder)


def catalogued(folder: Path) -> list[str]:
    return [file["path"] for file in orjson.loads((folder / "catalogue.json").read_bytes())["files"]]


def names_in(folder: Path) -> list[str]:
    return [Path(path).name for path in catalogued(folder)]


def test_a_hub_gives_the_shards_of_a_local_folder(hub: FakeHub, repository: Repository, local: Path, tmp_path: Path):
    repository.card = {"license": "cc-by-4.0"}
    sha = repository.branches["main"]
    assert shards_from(URL, tmp_path / "run") == shards_of(local / "run")
    paths = catalogued(tmp_path / "run")
    assert paths == [p.replace(str(local / "data"), f"{URL}@{sha}") for p in catalogued(local / "run")]
    assert all(file.etag and not file.modified_ns for file in load_run(str(tmp_path / "run")).files)
    manifest = load_run(str(tmp_path / "run")).manifest
    assert manifest["sources"]["web"]["hub"] == [{"repository": NAME, "commit": sha}]
    assert manifest["sources"]["web"]["licence"] == "cc-by-4.0"
    assert manifest["sources"]["books"]["licence"] == "CC0-1.0"  # what the config says goes first
    code, said = winnow("summary", str(tmp_path / "run"))
    assert code == 0
    assert f"source web: {URL} at commit {sha}, licence cc-by-4.0" in said.replace("\n", " ")


@pytest.mark.slow
def test_a_snapshot_gives_the_shards_of_the_hub(hub: FakeHub, repository: Repository, local: Path, tmp_path: Path):
    from huggingface_hub import HfApi

    repository.commit(
        {"web-9.jsonl.zst": repository.files()["web-1.jsonl.zst"]}
    )  # equal content: one blob of the cache
    cache = tmp_path / "cache"
    api = HfApi(endpoint=hub.endpoint, token=False)
    snapshot = api.snapshot_download(NAME, repo_type="dataset", cache_dir=cache)
    assert (Path(snapshot) / "web-9.jsonl.zst").is_symlink()
    from_hub = shards_from(URL, tmp_path / "hub")
    assert shards_from(snapshot, tmp_path / "snapshot") == from_hub
    assert [Path(p).name for p in catalogued(tmp_path / "snapshot")] == [
        Path(p).name for p in catalogued(tmp_path / "hub")
    ]
    plain = api.snapshot_download(NAME, repo_type="dataset", local_dir=tmp_path / "plain")
    assert shards_from(plain, tmp_path / "folder") == from_hub


def test_a_branch_that_moves_while_a_run_reads_changes_nothing(
    hub: FakeHub, repository: Repository, local: Path, tmp_path: Path
) -> None:
    asked: list[str] = []

    def move(_server: str, _method: str, path: str) -> None:
        asked.append(path)
        if sum("/resolve/" in p for p in asked) == 2:
            repository.commit({"web-0.jsonl": b'{"url": "x", "text": "other"}\n', "books.parquet": None})

    hub.fault = move
    assert shards_from(URL, tmp_path / "run") == shards_of(local / "run")
    assert len(repository.commits) > 2


@pytest.mark.slow
def test_an_unfinished_run_goes_on_with_its_commit(
    hub: FakeHub, repository: Repository, local: Path, tmp_path: Path, caplog, monkeypatch
) -> None:
    monkeypatch.setattr(logging.getLogger("winnow"), "propagate", True)  # commands that ran before may have changed it
    config = parse_config(sample_config(URL, tmp_path / "run", storage=STORAGE))
    first = repository.branches["main"]
    hub.fault = lambda server, method, path: 403 if "notes/03" in path and "/resolve/" in path else None
    with pytest.raises(Exception, match="forbids"):
        run(config)
    hub.fault = lambda *_: None
    second = repository.commit({"web-0.jsonl": b'{"url": "new", "text": "entirely other words of a new file"}\n'})
    run(config)
    assert f"has moved to {second}; this run began with {first}" in caplog.text
    assert shards_of(tmp_path / "run") == shards_of(local / "run")
    assert first in (tmp_path / "run" / REVISIONS).read_text()
    caplog.clear()

    before = len(hub.asked)
    run(config)  # it has finished: what is new is taken, and what is not is not read again
    assert f"has moved since the last run of this folder: from {first} to {second}" in caplog.text
    assert shards_of(tmp_path / "run") != shards_of(local / "run")
    read = [a.path for a in hub.asked[before:] if "/resolve/" in a.path]
    assert read
    assert all("/resolve/" + second in path for path in read if "web-0.jsonl" in path)
    files = {file.path.rpartition("/")[2]: file for file in load_run(str(tmp_path / "run")).files}
    assert second in files["web-0.jsonl"].path
    assert first in files["books.parquet"].path
    commits = load_run(str(tmp_path / "run")).manifest["sources"]["web"]["hub"]
    assert [entry["commit"] for entry in commits] == sorted([first, second])


@pytest.mark.slow
def test_a_new_commit_adds_to_a_corpus_only_what_is_new(hub: FakeHub, repository: Repository, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(sample_config(URL, tmp_path / "corpus", storage=STORAGE)))
    assert winnow("run", str(config), "--new-only")[0] == 0
    repository.commit({"README.md": b"another card", "web-7.jsonl.zst": repository.files()["web-1.jsonl.zst"]})
    code, said = winnow("run", str(config), "--new-only")
    assert code == 0, said
    assert names_in(tmp_path / "corpus/sets/00001") == ["web-7.jsonl.zst"]
    repository.commit({"README.md": b"a third card"})
    code, said = winnow("run", str(config), "--new-only")
    assert code == 0, said
    assert not (tmp_path / "corpus/sets/00002").exists()


@pytest.mark.slow
def test_revisions_are_taken_as_written(hub: FakeHub, repository: Repository, local: Path, tmp_path: Path) -> None:
    first = repository.branches["main"]
    repository.branches["v1"] = repository.branches["refs/convert/parquet"] = first
    repository.commit({path: None for path in repository.files() if path.startswith("notes/")})
    for number, at in enumerate(["v1", first, "refs/convert/parquet"]):
        assert shards_from(f"{URL}@{at}", tmp_path / str(number)) == shards_of(local / "run")


def test_a_damaged_list_of_revisions_is_refused(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for content in (
        b"{",
        b"[]",
        b'{"format": "winnow-revisions-1", "commits": {"hf://datasets/acme/web@main": "main"}}',
    ):
        (tmp_path / "run" / REVISIONS).write_bytes(content)
        with pytest.raises(ValueError, match=r"revisions.json: damaged .*remove it"):
            run(parse_config(sample_config(URL, tmp_path / "run", storage=STORAGE)))


def test_commands_refuse_what_they_may_not_read(
    hub: FakeHub, repository: Repository, tmp_path: Path, monkeypatch
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(sample_config(URL, tmp_path / "run", storage=STORAGE)))
    code, said = winnow("plan", str(config))
    assert code == 0, said
    assert not (tmp_path / "run" / REVISIONS).exists()
    repository.private = True
    for name in ("plan", "run"):
        code, said = winnow(name, str(config))
        assert code == 2, said
        assert "set HF_TOKEN" in " ".join(said.split())
        assert "Traceback" not in said
    repository.private, repository.gated = False, True
    code, said = winnow("run", str(config))
    assert (code, "accept its terms" in " ".join(said.split())) == (2, True)
    config.write_text(yaml.safe_dump(sample_config("hf://datasets/acme/none", tmp_path / "run", storage=STORAGE)))
    assert winnow("run", str(config))[0] == 2
    config.write_text(yaml.safe_dump(sample_config("hf://acme/web", tmp_path / "run")))
    code, said = winnow("run", str(config))
    assert (code, "expected hf://datasets/OWNER/NAME" in " ".join(said.split())) == (2, True)
    config.write_text(yaml.safe_dump(sample_config(tmp_path, URL)))
    code, said = winnow("run", str(config))
    assert (code, "hf:// is read only" in " ".join(said.split())) == (2, True)


@pytest.mark.slow
def test_the_token_stands_in_no_file(hub: FakeHub, repository: Repository, tmp_path: Path, monkeypatch) -> None:
    repository.private = True
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.fail(1, 500)
    line = command(sample_config(URL, tmp_path / "run", storage=STORAGE), tmp_path / "config.yaml")
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert TOKEN not in ended.stdout + ended.stderr
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
    assert all(TOKEN not in str(a) for a in hub.requests(server="elsewhere"))


def test_the_examples_of_the_docs(
    hub: FakeHub, repository: Repository, local: Path, tmp_path: Path, monkeypatch
) -> None:
    """`docs/hub.md`: its config is run, its commands are given, on data sets of these names."""
    monkeypatch.chdir(tmp_path)
    docs = (Path(__file__).parents[2] / "docs/hub.md").read_text()
    (config,) = re.findall(r"^```yaml\n(.*?)^```$", docs, re.MULTILINE | re.DOTALL)
    commands = re.findall(r"^winnow push .*$", docs, re.MULTILINE)
    books = (local / "data/web-1.jsonl.zst").read_bytes()
    table = pq.read_table(local / "data/books.parquet").rename_columns(["url", "text"])
    pq.write_table(table, tmp_path / "books.parquet")
    repository.commit(dict.fromkeys(repository.files()))
    repository.commit({"data/books.parquet": (tmp_path / "books.parquet").read_bytes()})
    hub.repositories["acme/books"] = Repository()
    hub.repositories["acme/books"].branches["v1.0"] = hub.repositories["acme/books"].commit({"a.jsonl.zst": books})
    settings = yaml.safe_load(config) | {"filter": {"mode": "annotate"}, "compute": {"executor": "inline"}}
    settings["compute"]["max_unreadable_share"] = 0.5
    (tmp_path / "winnow.yaml").write_text(yaml.safe_dump(settings))
    code, said = winnow("run", "winnow.yaml")
    assert code == 0, said
    assert load_run("runs/hub").manifest["sources"]["old"]["hub"][0]["repository"] == "acme/books"
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert len(commands) == 2
    for line in commands:
        code, said = winnow(*line.partition("#")[0].replace("runs/web", "runs/hub").split()[1:])
        assert code == 0, said
    assert "README.md" in hub.repositories["acme/web-tokens"].files()
