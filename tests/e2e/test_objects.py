"""Whole runs in an object store: the bytes of a local run, whatever goes wrong on the way."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import yaml

from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from tests.support.fault_hooks import environment
from tests.support.faulty_objects import FaultyServer
from tests.support.finished import shards_of
from tests.support.processes import command, kill_when
from tests.support.small_work import many_units
from winnow.audit.verify.verify import check_shards, check_work, recount
from winnow.config.config import parse_config
from winnow.engine.engine import StageFailedError
from winnow.errors import ConfigError
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.runs.status import status_of

pytestmark = pytest.mark.slow
BUCKET = "winnow-runs"
SMALL = {"unit_mb": 1, "partition_mb": 1}


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """Inputs, and the shards of a run on this disk."""
    folder = tmp_path_factory.mktemp("local")
    write_sample(folder / "data")
    config = sample_config(folder / "data", folder / "run", compute=SMALL, shards=SHARDS)
    run(parse_config(config))
    return folder


SHARDS = {"sequence_tokens": 127, "shard_mb": 1, "splits": {"val": 0.1}, "formats": ["parquet", "raw", "mds"]}


@pytest.fixture
def bucket(s3, local, tmp_path):
    """A folder of the bucket of this test's own, with the inputs."""
    import s3fs

    files = s3fs.S3FileSystem()
    files.makedirs(BUCKET, exist_ok=True)
    files.put(str(local / "data"), f"{BUCKET}/{tmp_path.name}/data", recursive=True)
    return f"s3://{BUCKET}/{tmp_path.name}"


def remote(bucket: str, tmp_path: Path, **sections) -> dict:
    storage = {"scratch": str(tmp_path / "scratch"), "retries": 2} | sections.pop("storage", {})
    compute = SMALL | sections.pop("compute", {})
    return sample_config(
        f"{bucket}/data", f"{bucket}/run", **{"shards": SHARDS} | sections, compute=compute, storage=storage
    )


def everything_holds(bucket: str, local: Path) -> None:
    import s3fs

    assert shards_of(f"{bucket}/run") == shards_of(local / "run")
    finished = load_run(f"{bucket}/run")
    assert check_shards(finished) == check_work(finished, hashes=True) == []
    assert all(balance.expected == balance.found for balance in recount(finished))
    files = s3fs.S3FileSystem()
    left = [path for path in files.find(f"{bucket}/run") if ".draft" in path or "lease" in path]
    assert left == [] and files.list_multipart_uploads(BUCKET) == []


def test_inputs_work_and_shards_in_a_store_give_the_bytes_of_a_local_run(bucket, local, tmp_path):
    config = parse_config(remote(bucket, tmp_path))
    run(config)
    everything_holds(bucket, local)
    again = run(config)
    assert all(summary.units == summary.reused for summary in again.engine.summaries)
    for read in ("config.yaml", "state.json", f"{load_run(config.run).shards}/manifest.json"):
        text = again.engine.store.read(read)
        assert b"AWS" not in text and b'"test"' not in text and b"secret" not in text.lower()
    assert list((tmp_path / "scratch").glob("winnow-[!o]*")) == []


def test_inputs_in_a_store_and_the_run_on_a_disk(bucket, local, tmp_path):
    run(parse_config(remote(bucket, tmp_path) | {"run": str(tmp_path / "run")}))
    assert shards_of(tmp_path / "run") == shards_of(local / "run")


def test_large_plain_inputs_are_read_by_ranges(bucket, local, tmp_path, monkeypatch):
    """Byte ranges of JSONL, and row groups of Parquet."""
    many_units(monkeypatch)
    context = run(parse_config(remote(bucket, tmp_path)))
    assert len(context.run.of("measure")) > 5
    assert shards_of(f"{bucket}/run") == shards_of(local / "run")
    shuffled = [record.outputs["rows"].bytes for record in context.run.of("shuffle")]
    # listing, layout, header and places of the extents, footer of a shard; rows and payload of every file; and the
    # lease, which another thread of this process looks at every 10 s
    for record in context.run.of("shards"):
        assert record.metrics["objects.get"] <= 6 + 2 * len(shuffled) + 2, record.metrics
    read = sum(record.metrics["objects.bytes_read"] for record in context.run.of("shards"))
    assert read <= sum(shuffled) + 10_000 * len(context.run.of("shards"))


def test_an_input_written_anew_while_it_is_read_ends_the_run_and_is_read_by_the_next(bucket, tmp_path, monkeypatch):
    """Else a table could hold the beginning of one object and the end of another."""
    import s3fs

    from winnow.stages.ingest import reading

    files, path = s3fs.S3FileSystem(), f"{bucket}/data/web-0.jsonl"
    content = files.cat_file(path)
    files.pipe_file(path, content[: content.index(b"\n") + 1] + content)
    read_slice = reading.read_slice

    def read_and_change(file_slice, *arguments):
        yield from read_slice(file_slice, *arguments)
        if file_slice.path == path:
            files.pipe_file(path, content)

    monkeypatch.setattr(reading, "read_slice", read_and_change)
    config = parse_config(remote(bucket, tmp_path, compute={"attempts": 1}))
    with pytest.raises(StageFailedError, match="web-0.jsonl: written anew since this run catalogued it"):
        run(config)
    run(config)
    finished = load_run(config.run)
    assert all(balance.expected == balance.found for balance in recount(finished))


@pytest.mark.ray
def test_on_ray(bucket, local, tmp_path):
    config = remote(bucket, tmp_path, compute={"executor": "ray", "workers": 2, "unit_timeout_minutes": 5})
    line = command(config, tmp_path / "config.yaml")
    done = subprocess.run(line, env=environment(tmp_path / "marks"), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    everything_holds(bucket, local)


def test_storage_that_fails_for_a_while_and_then_for_good(bucket, local, tmp_path, s3, monkeypatch):
    monkeypatch.setattr("winnow.storage.object_files.FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr("winnow.engine.engine.STORAGE_WAIT_SECONDS", 0.01)
    with FaultyServer(s3.port).running() as server:
        config = parse_config(remote(bucket, tmp_path, storage={"endpoint": server.endpoint}))
        broken = [False]
        seen = [0]

        def every_seventh(_method: str, path: str) -> int | None:
            seen[0] += 1
            broken[0] = broken[0] or "decide/" in path
            return 503 if seen[0] % 7 == 0 or (broken[0] and "lease" not in path) else None

        server.fault = every_seventh
        with pytest.raises(
            (StageFailedError, OSError), match="(?s)the server said 503: SlowDown.*run the same command"
        ):
            run(config)
        server.fault = lambda _method, _path: None
        context = run(config)
    measured = next(summary for summary in context.engine.summaries if summary.name == "measure")
    assert measured.units == measured.reused
    everything_holds(bucket, local)


def test_a_store_that_refuses_ends_with_exit_code_1_and_what_to_do(bucket, tmp_path, s3):
    with FaultyServer(s3.port).running() as server:
        config = remote(bucket, tmp_path, storage={"endpoint": server.endpoint})
        server.fault = lambda method, path: 403 if method == "PUT" and "measure" in path else None
        line = command(config, tmp_path / "config.yaml")
        done = subprocess.run(line, capture_output=True, text=True, timeout=300, env=environment(tmp_path / "marks"))
    assert done.returncode == 1
    assert "may not do this" in done.stderr and f"{bucket}/run/work/measure/" in done.stderr


@pytest.mark.longest
@pytest.mark.parametrize("stage", ["filter", "tokenise", "shards"])
def test_killed_and_started_again(bucket, local, tmp_path, stage):
    from winnow.storage.open_store import open_store

    store = open_store(f"{bucket}/run")
    line = command(remote(bucket, tmp_path), tmp_path / "config.yaml")
    assert kill_when(line, lambda: bool(store.folders(f"work/{stage}")))
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    everything_holds(bucket, local)


@pytest.mark.longest
def test_commands_on_a_run_in_a_store(bucket, local, tmp_path):
    select = {"encoder": {"model": "hashing"}, "semantic": {"epsilon": 0.05}}
    config = remote(bucket, tmp_path, select=select)
    run(parse_config(config))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    at = f"{bucket}/run"
    variables = dict(os.environ)

    def winnow(*arguments: str, code: int = 0) -> str:
        line = [sys.executable, "-m", "jobs", *arguments]
        done = subprocess.run(line, capture_output=True, text=True, env=variables, timeout=300)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr

    assert "finished" in winnow("status", at)
    assert "the books close" in winnow("verify", at, "--work")
    assert "outcome    kept" in winnow("why", "web/2", at)
    assert "row 0 of train" in winnow("shards", "head", at)
    assert "splits" in winnow("shards", "stats", at)
    assert f"{at}/audit/dedup.html" in winnow("audit", "dedup", at, "--planted", "0")
    assert "embeddings" in winnow("export", "embeddings", at, str(tmp_path / "out"))
    assert len(winnow("near", "the river carries bread", at).splitlines()) >= 10
    assert "to run" in winnow("plan", str(tmp_path / "config.yaml"))
    assert f"{at}/shards/" in winnow("shards", "convert", at, "--format", "litdata")
    assert "the books close" in winnow("verify", at)
    assert "no run has finished here" in winnow("why", "x", f"{bucket}/nothing", code=2)
    assert "credentials" in winnow("status", "s3://key:secret@bucket/run", code=2)
    assert f"current shard set: {at}/shards/" in winnow("status", f"{at}/")
    assert status_of(at).state == "finished"


def test_nights_in_a_store(bucket, local, tmp_path):
    """A corpus that grows, its index beside it: the sets and the list of a corpus on a disk."""
    from winnow.runs.corpus import add_new_inputs
    from winnow.shards.dataset.several_sets import CORPUS
    from winnow.storage.open_store import open_store

    files = {"disk": tmp_path / "corpus", "s3": f"{bucket}/corpus"}
    data = {"disk": tmp_path / "data", "s3": f"{bucket}/nights"}
    write_sample(tmp_path / "all", 60)
    listed = {}
    for where, folder in files.items():
        sections = {"compute": SMALL | {"max_unreadable_share": 0.2}, "storage": {"scratch": str(tmp_path / "scratch")}}
        config = sample_config(data[where], folder, **sections)
        config["sources"] = [{"name": "web", "path": f"{data[where]}/web-*", "id": "url"}]
        parsed = parse_config(config)
        store = open_store(str(data[where]))
        for name in ("web-0.jsonl", "web-1.jsonl.zst"):
            store.replace(name, (tmp_path / "all" / name).read_bytes())
            assert add_new_inputs(parsed) is not None
        assert add_new_inputs(parsed) is None
        listed[where] = orjson.loads(open_store(str(folder)).read(CORPUS))
    assert len(listed["s3"]["sets"]) == 2
    for mine, theirs in zip(listed["disk"]["sets"], listed["s3"]["sets"], strict=True):
        assert mine["splits"] == theirs["splits"]
        assert shards_of(files["disk"] / "sets" / mine["name"]) == shards_of(f"{files['s3']}/sets/{theirs['name']}")
    from winnow.index.check import check_index
    from winnow.index.folder import open_index

    index = open_index(f"{files['s3']}/index")
    assert check_index(index) == [] and index.leftovers() == []
    index.drop(1)
    assert list(index.segments()) == [0] and list(index.segments(dropped=True)) == [0, 1]


def test_a_run_and_its_index_in_different_places(bucket, local, tmp_path):
    """Two nights with the index on this disk, in the store, and beside a run in the other one: the same shards."""
    nights = ("web-0.jsonl", "web-1.jsonl.zst")
    places = {"disk": (tmp_path, tmp_path), "far": (tmp_path / "far", bucket), "near": (bucket, tmp_path / "near")}
    found = {}
    for name, (runs, index) in places.items():
        found[name] = []
        for number, night in enumerate(nights):
            config = sample_config(local / "data", f"{runs}/{number}", dedup={"index": f"{index}/index"})
            config["sources"] = [{"name": "web", "path": f"{local}/data/{night}", "id": "url"}]
            config["storage"] = {"scratch": str(tmp_path / "scratch")}
            context = run(parse_config(config))
            found[name].append(shards_of(f"{runs}/{number}"))
        assert context.index is not None and context.index.documents > 0
    assert found["disk"] == found["far"] == found["near"]


def test_secrets_in_the_config_are_refused_and_not_repeated(tmp_path):
    for setting in ({"run": "s3://KEY:hidden@bucket/run"}, {"storage": {"endpoint": "http://KEY:hidden@minio"}}):
        with pytest.raises(ConfigError) as refused:
            parse_config(sample_config(tmp_path, tmp_path / "run") | setting)
        assert "hidden" not in str(refused.value) and "hidden" not in repr(refused.value.__cause__)
