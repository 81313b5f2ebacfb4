"""What stages may rely on is the same in a folder and in an object store: one set of tests for both."""

import os
import pickle
import subprocess
import sys
import time

import orjson
import pytest

from winnow.engine.executors.stuck_workers import _NOTE
from winnow.engine.lease import EXPIRES_AFTER_S, LEASE, hold_lease
from winnow.errors import AddressError, LeaseHeldError, StorageError
from winnow.storage.config import StorageConfig
from winnow.storage.local_store import LocalStore
from winnow.storage.object_files import AT_ONCE
from winnow.storage.open_store import open_store
from winnow.storage.traffic import counted_traffic

BUCKET = "winnow-store"


@pytest.fixture(params=["disk", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def store(request, tmp_path):
    if request.param == "disk":
        return LocalStore(str(tmp_path))
    pytest.importorskip("fsspec", reason="fsspec is not installed (extra `s3`)")
    if request.param == "memory":
        return open_store(f"memory://{tmp_path.name}", StorageConfig(scratch=str(tmp_path / "scratch")))
    request.getfixturevalue("s3")
    return bucket_store(tmp_path)


@pytest.fixture
def remote(s3, tmp_path):
    return bucket_store(tmp_path)


def bucket_store(tmp_path):
    import s3fs

    s3fs.S3FileSystem().makedirs(BUCKET, exist_ok=True)
    return open_store(f"s3://{BUCKET}/{tmp_path.name}/", StorageConfig(scratch=str(tmp_path / "scratch")))


def test_a_file_appears_whole_or_not_at_all(store):
    with pytest.raises(RuntimeError, match="stop"), store.create("a/b.bin") as draft:
        draft.write(b"half")
        raise RuntimeError("stop")
    assert not store.exists("a/b.bin") and store.size("a/b.bin") is None
    with store.create("a/b.bin", "sha256") as draft:
        draft.write(b"whole")
        assert not store.exists("a/b.bin")
    assert store.read("a/b.bin") == b"whole"
    assert store.hash("a/b.bin", "sha256") == draft.hash


def test_names_folders_and_files_below(store):
    for path in ("x.json", "work/s/1.json", "work/s/1.parquet", "work/s/t/2.json", "workshop/3.json"):
        store.replace(path, path.encode())
    assert "x.json" in store.list("")
    assert store.list("work/s", ".json") == ["1.json"]
    assert store.list("nothing") == store.folders("nothing") == store.files_below("nothing") == []
    assert store.folders("") == ["work", "workshop"]
    assert store.files_below("work") == ["work/s/1.json", "work/s/1.parquet", "work/s/t/2.json"]
    assert store.read_all(["x.json", "none", "work/s/t/2.json"]) == [b"x.json", None, b"work/s/t/2.json"]


def test_files_that_are_not_there_with_their_size(store):
    for number in range(5):
        store.replace(f"f/{number}", b"x" * number)
    expected = [(f"f/{number}", number) for number in range(5)]
    assert store.missing(expected) == set()
    assert store.missing([*expected, ("f/2", 3), ("f/9", 1), ("g/0", 0)]) == {"f/2", "f/9", "g/0"}


def test_reading_what_is_not_there(store):
    for read in (store.read, store.local, store.modified, lambda path: store.open(path).read(1)):
        with pytest.raises(FileNotFoundError):
            path = read("none")
            if not path.exists():  # a store on a disk names the file itself
                raise FileNotFoundError


def test_ranges_of_many_files_in_turn(store):
    contents = [bytes([number]) * (100 + number) + b"." * 50 for number in range(40)]
    for number, content in enumerate(contents):
        store.replace(f"f/{number}", content)
    ranges = [(f"f/{number}", 5, 100 + number) for number in range(40)]
    found = [file.read(100 + number - 5) for number, file in enumerate(store.open_each(ranges))]
    assert found == [content[5 : 100 + number] for number, content in enumerate(contents)]
    assert list(store.open_each([])) == []
    some = store.open_each(ranges)
    files = [next(some) for _ in range(3)]
    assert [file.closed for file in files] == [True, True, False]
    some.close()
    assert files[2].closed
    with pytest.raises(FileNotFoundError):
        [file.read(1) for file in store.open_each([ranges[0], ("none", 0, 1)])]


@pytest.mark.slow
def test_files_are_read_in_turn_and_only_a_few_ahead(store):
    """What is read may be as large as a partition of an exchange: it must not all come at once."""
    paths = [f"f/{number}" for number in range(100)]
    for number, path in enumerate(paths):
        with store.create(path) as draft:
            draft.write(str(number).encode())
    begun = []

    def read(file) -> int:
        begun.append(1)
        return int(file.read())

    found = store.read_each(paths, read)
    assert next(found) == 0
    assert len(begun) <= 2 * AT_ONCE < len(paths)
    assert list(found) == list(range(1, 100))
    assert list(store.read_each([], read)) == []
    with pytest.raises(FileNotFoundError):
        list(store.read_each(["f/3", "none"], read))


def test_ranges_are_fetched_ahead_within_a_bound(remote, monkeypatch):
    monkeypatch.setattr("winnow.storage.object_store.AHEAD_BYTES", 3000)
    for number in range(8):
        remote.replace(f"f/{number}", bytes(2000))
    with counted_traffic() as asked:
        files = remote.open_each([(f"f/{number}", 500, 1500) for number in range(8)])
        next(files).read(1000)
        time.sleep(0.5)
        files.close()
    assert asked == {"objects.get": 3, "objects.bytes_read": 3000}


def test_a_second_name_and_another_name(store):
    store.replace("a.bin", b"one")
    store.replace("b.npy", b"other")
    assert store.link("a.bin", "b.npy")
    assert store.read("b.npy") == b"one"
    store.rename("b.npy", "c.npy")
    assert store.list("") == ["a.bin", "c.npy"]
    store.remove("c.npy")
    store.remove("c.npy")
    assert store.list("") == ["a.bin"]


def test_only_what_was_judged_is_taken_over(store):
    store.replace("l", b"old")
    assert not store.compare_and_swap("l", b"older", b"new")
    assert store.read("l") == b"old"
    assert store.compare_and_swap("l", b"old", b"new")
    assert not store.compare_and_swap("l", b"old", b"newer")
    assert store.read("l") == b"new" and store.list("") == ["l"]


def test_notes_by_their_age(store):
    store.write_unsynced(f"{_NOTE}host-1", b"{}")
    assert store.older_than(_NOTE, 30) == []
    time.sleep(1.1)  # S3 tells whole seconds
    assert store.older_than(_NOTE, -1) == [f"{_NOTE}host-1"]
    store.remove_drafts_here(_NOTE)
    assert store.older_than(_NOTE, -1) == [] and store.list("") == []


def test_a_store_travels(store):
    store.replace("x", b"1")
    with counted_traffic():
        sent = pickle.dumps(store)
    assert b"session" not in sent.lower()
    assert pickle.loads(sent).read("x") == b"1"


def test_a_large_draft_waits_on_the_scratch_disk_and_leaves_nothing(remote, tmp_path, monkeypatch):
    monkeypatch.setattr("winnow.storage.object_store.IN_MEMORY_BYTES", 1000)
    with remote.create("large") as draft:
        for number in range(100):
            draft.write(bytes([number]) * 100)
    assert remote.read("large") == b"".join(bytes([number]) * 100 for number in range(100))
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_full_scratch_disk_names_its_setting(remote, monkeypatch):
    import errno

    class Full:
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="storage.scratch"), remote.create("x") as draft:
        draft._file = Full()
        draft.write(b"1")
    assert not remote.exists("x")


def test_what_is_mapped_is_fetched_once_and_compared_with_its_hash(remote):
    with remote.create("table") as draft:
        draft.write(b"content")
    with counted_traffic() as asked:
        paths = {remote.local("table", draft.hash) for _ in range(3)}
    assert len(paths) == 1 and paths.pop().read_bytes() == b"content"
    assert asked["objects.get"] == 1
    remote.replace("table", b"altered")
    with pytest.raises(StorageError, match="altered; its hash is"):
        remote.local("table", "xxh3_128:another")
    assert remote.local("table").read_bytes() == b"altered"  # no hash is known: the etag tells them apart


def test_what_changes_while_it_is_fetched_is_not_kept_under_the_old_etag(remote, monkeypatch):
    remote.replace("table", b"first")
    download = remote._files.download

    def changed_meanwhile(url, path):
        remote.replace("table", b"second")
        download(url, path)

    monkeypatch.setattr(remote._files, "download", changed_meanwhile)
    with pytest.raises(StorageError, match="written anew"):
        remote.local("table")
    monkeypatch.setattr(remote._files, "download", download)
    remote.replace("table", b"first")
    assert remote.local("table").read_bytes() == b"first"


@pytest.mark.slow
def test_parquet_is_read_by_columns(remote):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    wide = pa.table({f"c{n}": np.random.default_rng(n).random(40_000) for n in range(10)})
    with remote.create("t.parquet") as draft:
        pq.write_table(wide, draft.arrow(), compression="none", use_dictionary=False)
    with counted_traffic() as asked:
        found = pq.read_table(remote.columns_of("t.parquet"), columns=["c7"])
    assert found.equals(wide.select(["c7"]))
    assert asked["objects.bytes_read"] < 0.5 * draft.bytes


def test_one_owner_at_a_time(remote):
    with hold_lease(remote):
        with pytest.raises(LeaseHeldError, match=rf"s3://{BUCKET}/.*process {os.getpid()}"), hold_lease(remote):
            pass
    assert remote.list("") == []


@pytest.mark.slow
def test_a_lease_expires_by_the_clock_of_the_store(remote, monkeypatch):
    """Whatever the owner's clock said; and what was renewed counts anew."""
    lease = {"host": "elsewhere", "pid": 1, "started": "1", "expires": time.time() - 10_000}
    remote.replace(LEASE, orjson.dumps(lease))
    with pytest.raises(LeaseHeldError, match="elsewhere"), hold_lease(remote):
        pass
    monkeypatch.setattr("winnow.engine.lease.EXPIRES_AFTER_S", 0.5)
    remote.replace(LEASE, orjson.dumps({**lease, "expires": time.time() + 10_000}))
    time.sleep(2.1)
    with hold_lease(remote):
        assert orjson.loads(remote.read(LEASE))["pid"] == os.getpid()


@pytest.mark.slow
def test_what_a_killed_take_over_left_says_nothing_of_the_lease(remote, monkeypatch):
    """And goes with the next take-over."""
    held = orjson.dumps({"host": "elsewhere", "pid": 1, "started": "1", "expires": 0})
    remote.replace(f".draft-{LEASE}.0123456789abcdef", b"killed in between")
    monkeypatch.setattr("winnow.engine.lease.EXPIRES_AFTER_S", 0.5)
    monkeypatch.setattr("winnow.storage.object_store.TAKING_SECONDS", 0.5)
    time.sleep(1.6)  # S3 tells whole seconds
    remote.replace(LEASE, held)
    monkeypatch.setattr("winnow.engine.lease.EXPIRES_AFTER_S", 1.0)
    with pytest.raises(LeaseHeldError, match="elsewhere"), hold_lease(remote):
        pass
    assert remote.compare_and_swap(LEASE, held, b"new")
    assert remote.list("") == [LEASE]


def test_a_take_over_that_took_too_long_takes_nothing(remote, monkeypatch):
    remote.replace("l", b"old")
    monkeypatch.setattr("winnow.storage.object_store.TAKING_SECONDS", 0.0)
    assert not remote.compare_and_swap("l", b"old", b"new")
    assert remote.read("l") == b"old"


def test_a_lease_is_not_renewed_by_a_request_that_outlives_it(remote):
    with hold_lease(remote) as lease:
        asked = lease._impatient.storage
    assert (asked.retries + 1) * asked.timeout_seconds < EXPIRES_AFTER_S / 2
    assert lease._store.storage == remote.storage


def test_the_folders_of_a_console_are_no_files(remote):
    import s3fs

    bucket, _, folder = remote.root.removeprefix("s3://").partition("/")
    for name in ("work/", "work/s/"):
        s3fs.S3FileSystem().call_s3("put_object", Bucket=bucket, Key=f"{folder}/{name}", Body=b"")
    remote.replace("work/s/1", b"")
    assert remote.files_below("") == remote.files_below("work") == ["work/s/1"]
    assert remote.list("work") == [] and remote.folders("work") == ["s"]


def test_what_goes_wrong_beside_a_draft_is_not_blamed_on_the_scratch_disk(remote):
    with pytest.raises(PermissionError, match="/data/input"), remote.create("x"):
        raise PermissionError(13, "Permission denied", "/data/input")


@pytest.mark.slow
def test_a_killed_owner_on_this_machine_is_replaced_at_once(remote):
    code = (
        "import time; from winnow.engine.lease import hold_lease; from winnow.storage.open_store import open_store\n"
        f"with hold_lease(open_store({remote.root!r})): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(LeaseHeldError), hold_lease(remote):
        pass
    process.kill()
    process.wait()
    with hold_lease(remote):
        pass


def test_an_index_elsewhere_is_read_by_its_whole_address(remote, tmp_path):
    here = LocalStore(str(tmp_path / "run"))
    here.replace("local", b"on disk")
    remote.replace("far", b"in the store")
    assert here.read(remote.location("far")) == here.open(remote.location("far")).read() == b"in the store"
    assert here.local(remote.location("far")).read_bytes() == b"in the store"
    assert remote.read(here.location("local")) == remote.open(here.location("local")).read() == b"on disk"
    assert here.exists(remote.location("far")) and remote.exists(here.location("local"))


def test_a_server_that_ignores_conditions_is_refused(remote, monkeypatch):
    def writes_over(url, data):
        remote._files.write(url, data)
        return True

    monkeypatch.setattr(remote._files, "create", writes_over)
    with pytest.raises(StorageError, match="ignores If-None-Match"), hold_lease(remote):
        pass
    assert remote.list("") == []


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_lost_connection_while_counting_is_no_fault_of_the_file(tmp_path, monkeypatch, kind):
    from winnow.engine.records import Unit
    from winnow.engine.stage import run_unit
    from winnow.stages.ingest.slices import count_stage

    def lost(_store, path):
        raise ConnectionError(f"{path}: no answer")

    monkeypatch.setattr(LocalStore, "open_input", lost)
    unit = Unit(0, {"path": "s3://bucket/x", "format": kind, "start": 0, "stop": 10, "bytes": 10, "modified_ns": 0})
    with pytest.raises(ConnectionError):
        run_unit(count_stage(), unit, LocalStore(str(tmp_path)))


def test_roots_that_cannot_be_used():
    with pytest.raises(AddressError, match="not a kind of storage"):
        open_store("ftp://host/run")
