import hashlib
import multiprocessing
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.support.objects_server import start_server
from tests.support.shard_sets import numbered_rows, write_set
from winnow.errors import ShardError
from winnow.shards.dataset.picked_rows import PickedRows
from winnow.shards.dataset.remote import ATTEMPTS, RemoteFolder
from winnow.shards.dataset.shard_set import read_shard_set
from winnow.shards.dataset.split_reader import SplitReader
from winnow.shards.dataset.stream import SampleStream, Source, positions_as_rows

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (extra `s3`)")


@pytest.fixture
def url(tmp_path):
    write_set(tmp_path / "far", {"train": np.array_split(numbered_rows(4000, 100), 5)})
    return f"file://{tmp_path}/far"


def read_all(reader: SplitReader):
    return PickedRows(reader, *positions_as_rows(reader, np.arange(reader.starts[-1]))).values()


def cached(cache):
    return sorted(path.name.partition("-")[2] for path in cache.glob("*/*.parquet"))


def test_shards_of_a_url_are_fetched_once(url, tmp_path, monkeypatch):
    source = Source(url, cache=str(tmp_path / "cache"), verify=True)
    assert np.array_equal(read_all(source.reader()), numbered_rows(4000, 100))
    assert len(cached(tmp_path / "cache")) == 5
    monkeypatch.setattr(RemoteFolder, "_fetch", lambda *_: pytest.fail("fetched again"))
    assert np.array_equal(
        read_all(Source(f"{url}/manifest.json", cache=str(tmp_path / "cache")).reader()), numbered_rows(4000, 100)
    )


def test_the_cache_stays_within_its_size(url, tmp_path):
    cache = tmp_path / "cache"
    reader = Source(url, cache=str(cache), cache_mb=1).reader()  # 5 shards of 0.33 MB
    for number in range(5):
        reader.shard(number)
        held = sum(path.stat().st_size for path in cache.glob("*/*.parquet"))
        assert held <= 1_000_000
    assert cached(cache) == [f"train-0000{n}-of-00005.parquet" for n in (2, 3, 4)]
    assert np.array_equal(read_all(reader), numbered_rows(4000, 100))  # what is open stays readable
    with pytest.raises(ShardError, match="raise cache_mb"):
        Source(url, cache=str(cache), cache_mb=0).reader().shard(0)


def test_the_next_shards_are_fetched_while_one_is_read(url, tmp_path):
    cache = tmp_path / "cache"
    reader = Source(url, cache=str(cache)).reader()
    stream = SampleStream(reader, mix_shards=2, epochs=2)
    stream.rows_of(0, 10)
    reader.parts[0].folder._fetcher.shutdown()
    assert cached(cache) == [f"train-0000{n}-of-00005.parquet" for n in range(5)]
    reader = Source(url, cache=str(cache)).reader()
    stream = SampleStream(reader, mix_shards=2, epochs=2)
    stream.rows_of(4000, 4010)  # epoch 1: the second window of two shards
    reader.parts[0].folder._fetcher.shutdown()
    wanted = {stream.reader.shards[n].path for n in stream._order(1).shards_of(1)}
    assert wanted <= set(cached(cache))


def test_what_is_fetched_ahead_takes_half_of_the_cache_at_most(url, tmp_path, monkeypatch):
    folder = RemoteFolder(url, str(tmp_path / "cache"), cache_mb=1)  # of shards of 0.33 MB
    shards = read_shard_set(folder).splits["train"].shards
    fetched, leave = [], threading.Event()
    monkeypatch.setattr(RemoteFolder, "_fetch_ahead", lambda self, file: (leave.wait(60), fetched.append(file.path)))
    for shard in shards:
        folder.expect(shard)
    leave.set()
    folder._fetcher.shutdown()
    assert fetched == [shards[0].path]


def test_several_shards_are_fetched_at_the_same_time(url, tmp_path, monkeypatch):
    folder = RemoteFolder(url, str(tmp_path / "cache"))
    shards = read_shard_set(folder).splits["train"].shards
    together = threading.Barrier(len(shards))  # none goes on until all are under way
    monkeypatch.setattr(RemoteFolder, "_fetch_ahead", lambda self, file: together.wait(60))
    for shard in shards:
        folder.expect(shard)
    assert len({found.fetched.result(60) for found in folder._expected.values()}) == len(shards)


def test_missing_and_truncated_shards_are_named_by_their_url(url, tmp_path):
    far = tmp_path / "far"
    (far / "train-00001-of-00005.parquet").unlink()
    (far / "train-00002-of-00005.parquet").write_bytes(b"short")
    reader = Source(url, cache=str(tmp_path / "cache")).reader()
    with pytest.raises(ShardError, match=r"file://.*train-00001-of-00005.parquet is missing"):
        reader.shard(1)
    with pytest.raises(ShardError, match=r"file://.*train-00002-of-00005.parquet has 5 bytes"):
        reader.shard(2)
    with pytest.raises(ShardError, match=r"manifest.json does not exist"):
        Source(f"{url}/nowhere", cache=str(tmp_path / "cache")).reader()
    assert cached(tmp_path / "cache") == []


def test_a_file_cut_short_in_the_cache_is_fetched_again(url, tmp_path):
    source = Source(url, cache=str(tmp_path / "cache"))
    read_all(source.reader())
    path = next((tmp_path / "cache").glob("*/*-train-00003*"))
    path.write_bytes(path.read_bytes()[:50])
    assert np.array_equal(read_all(source.reader()), numbered_rows(4000, 100))


def test_another_set_of_the_same_url_is_not_mixed_with_what_the_cache_holds(url, tmp_path):
    source = Source(url, cache=str(tmp_path / "cache"))
    read_all(source.reader())
    write_set(tmp_path / "far", {"train": np.array_split(numbered_rows(4000, 100) + 1, 5)})  # as many bytes
    assert np.array_equal(read_all(source.reader()), numbered_rows(4000, 100) + 1)


def test_a_shard_that_was_altered_where_it_lies_is_named(url, tmp_path):
    path = tmp_path / "far" / "train-00001-of-00005.parquet"
    data = path.read_bytes()
    path.write_bytes(data[:-30] + bytes([data[-30] ^ 1]) + data[-29:])
    with pytest.raises(ShardError, match=r"file://.*train-00001-of-00005.parquet is altered: its sha256 is"):
        read_all(Source(url, cache=str(tmp_path / "cache")).reader())
    assert cached(tmp_path / "cache") == ["train-00000-of-00005.parquet"]
    assert not list((tmp_path / "cache").glob("*/.draft-*"))


class Unsteady:
    """A file system that fails some times before it answers."""

    def __init__(self, files, failures):
        self._files, self.failures = files, failures

    def __getattr__(self, name):
        def call(*arguments):
            if self.failures:
                self.failures -= 1
                if name == "get_file":
                    Path(arguments[1]).write_bytes(b"half of it")
                raise ConnectionResetError("the line is\ngone")
            return getattr(self._files, name)(*arguments)

        return call


@pytest.mark.parametrize("call", ["manifest", "shard"])
def test_a_failing_network_is_given_time_and_then_named(url, tmp_path, monkeypatch, call):
    waits = []
    monkeypatch.setattr("winnow.shards.dataset.remote.time.sleep", waits.append)
    folder = RemoteFolder(url, str(tmp_path / "cache"))
    entry = read_shard_set(folder).splits["train"].shards[0]

    def fetch():
        return folder.read("manifest.json") if call == "manifest" else folder.open(entry).file.read()

    folder._files = Unsteady(folder._files, ATTEMPTS)
    with pytest.raises(ShardError, match=rf"{url}/.* in 5 attempts: ConnectionResetError: the line is gone; look at"):
        fetch()
    assert waits == [0.5, 1, 2, 4]
    assert cached(tmp_path / "cache") == []
    folder._files.failures = 2
    name = "manifest.json" if call == "manifest" else entry.path
    assert fetch() == (tmp_path / "far" / name).read_bytes()
    assert waits[4:] == [0.5, 1]


def first_rows(url, cache, queue):
    reader = Source(url, cache=cache, verify=True).reader()
    queue.put(int(read_all(reader).sum()))


def test_processes_share_the_cache(url, tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=first_rows, args=(url, str(tmp_path / "cache"), queue)) for _ in range(4)]
    for process in processes:
        process.start()
    assert {queue.get(timeout=60) for _ in processes} == {int(numbered_rows(4000, 100).sum())}
    for process in processes:
        process.join()


def test_an_unknown_kind_of_url_says_what_is_missing(tmp_path):
    with pytest.raises((ShardError, ValueError), match="nonsense"):
        Source("nonsense://bucket/set", cache=str(tmp_path)).reader()


@pytest.fixture
def bucket(tmp_path, s3, url, request):
    files = fsspec.filesystem("s3")
    name = "".join(c for c in request.node.name if c.isalpha())[:60].lower()
    files.mkdir(name)
    files.put(str(tmp_path / "far"), f"{name}/far", recursive=True)
    return files, f"s3://{name}/far"


def rows_of_rank(url, cache, rank, queue):
    from torch.utils.data import DataLoader

    from winnow.shards import ShardDataset

    dataset = ShardDataset(url, batch_size=20, rank=rank, world_size=2, cache=cache, cache_mb=10)
    loader = DataLoader(dataset, batch_size=None, num_workers=2)
    queue.put((rank, [int(row) - 2 for tokens, _ in loader for row in tokens[:, 0]]))


@pytest.mark.slow
def test_ranks_and_their_workers_share_one_cache_of_s3(bucket, tmp_path):
    pytest.importorskip("torch", reason="torch is not installed (extra `gpu`)")
    _, far = bucket
    cache = tmp_path / "cache"
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    ranks = [context.Process(target=rows_of_rank, args=(far, str(cache), rank, queue)) for rank in range(2)]
    for process in ranks:
        process.start()
    found = dict(queue.get(timeout=200) for _ in ranks)
    for process in ranks:
        process.join()
    assert sorted(found[0] + found[1]) == list(range(4000))
    assert cached(cache) == [f"train-0000{n}-of-00005.parquet" for n in range(5)]
    there = {path.name.partition("-")[2]: path.read_bytes() for path in (tmp_path / "far").glob("*.parquet")}
    wanted = {hashlib.sha256(data).hexdigest() for data in there.values()}
    assert {hashlib.sha256(path.read_bytes()).hexdigest() for path in cache.glob("*/*.parquet")} == wanted


def test_a_set_in_s3(bucket, tmp_path):
    files, far = bucket
    cache = tmp_path / "cache"
    source = Source(far, cache=str(cache), cache_mb=1)  # three of its five shards
    assert np.array_equal(read_all(source.reader()), numbered_rows(4000, 100))
    assert len(cached(cache)) == 3
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    forked = context.Process(target=first_rows, args=(far, str(tmp_path / "other"), queue))
    forked.start()
    assert queue.get(timeout=60) == int(numbered_rows(4000, 100).sum())
    forked.join()
    shard = f"{far}/train-00000-of-00005.parquet"
    data = files.cat_file(shard)
    files.pipe_file(shard, data[:1000] + b"x" + data[1001:])
    with pytest.raises(ShardError, match=r"s3://.*train-00000-of-00005.parquet is altered"):
        read_all(source.reader())
    files.rm(shard)
    with pytest.raises(ShardError, match=r"s3://.*train-00000-of-00005.parquet is missing"):
        read_all(source.reader())
    with pytest.raises(ShardError, match=r"s3://.*manifest.json does not exist"):
        Source(f"{far}-nowhere", cache=str(cache)).reader()


@pytest.mark.slow
def test_an_s3_that_is_gone_is_named(url, tmp_path, s3, monkeypatch):
    server = start_server()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    fsspec.filesystem("s3").clear_instance_cache()
    files = fsspec.filesystem("s3")
    files.mkdir("gone")
    files.put(str(tmp_path / "far"), "gone/far", recursive=True)
    monkeypatch.setattr("winnow.shards.dataset.remote.FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr("winnow.shards.dataset.remote.ATTEMPTS", 2)  # the library itself tries several times in each
    reader = Source("s3://gone/far", cache=str(tmp_path / "cache")).reader()
    reader.shard(0)
    server.stop()
    assert reader.shard(0) is not None
    with pytest.raises(ShardError, match=r"s3://gone/far/train-00001.* could not be fetched in 2 attempts: .*endpoint"):
        reader.shard(1)
    assert cached(tmp_path / "cache") == ["train-00000-of-00005.parquet"]


def test_a_shard_that_is_evicted_between_being_found_and_being_opened_is_read_all_the_same(url, tmp_path, monkeypatch):
    """Another process makes room at the worst moments: before a shard that was found is opened, and after a fetch."""
    folder = RemoteFolder(url, str(tmp_path / "cache"))
    entry = read_shard_set(folder).splits["train"].shards[0]
    right = (tmp_path / "far" / entry.path).read_bytes()
    evictions = []

    def evict(path):
        if path.suffix == ".parquet" and path.exists() and not path.name.startswith(".draft-"):
            path.unlink()
            evictions.append(path)

    opening, replacing = Path.open, Path.replace
    monkeypatch.setattr(Path, "open", lambda path, *how, **more: (evict(path), opening(path, *how, **more))[1])
    monkeypatch.setattr(Path, "replace", lambda path, to: (replacing(path, to), evict(Path(to)))[0])
    for _ in range(3):
        with folder.open(entry).file as file:
            assert file.read() == right
    reader = Source(url, cache=str(tmp_path / "cache"), verify=True).reader()
    assert np.array_equal(read_all(reader), numbered_rows(4000, 100))
    assert len(evictions) >= 8


def read_often(url, cache, times, queue):
    try:
        for _ in range(times):
            reader = Source(url, cache=cache, cache_mb=1, verify=True).reader()
            assert np.array_equal(read_all(reader), numbered_rows(4000, 100))
        queue.put("")
    except BaseException as error:
        queue.put(repr(error))
        raise


def test_several_processes_share_a_cache_smaller_than_what_they_read(url, tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    arguments = (url, str(tmp_path / "cache"), 6, queue)
    processes = [context.Process(target=read_often, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    told = [queue.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert told == ["", "", ""]


def test_a_cache_without_a_home_folder(url, tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # neither HOME nor an entry for this user
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert np.array_equal(read_all(Source(url).reader()), numbered_rows(4000, 100))
    assert len(list(tmp_path.glob("winnow-cache-*/winnow-shards/*/*.parquet"))) == 5
    (folder,) = tmp_path.glob("winnow-cache-*")
    folder.chmod(0o777)
    with pytest.raises(ShardError, match=r"can be written by others.*give `cache` a folder"):
        Source(url).reader()
