import multiprocessing

import numpy as np
import pytest

from pipeline.shards.dataset.errors import ShardError
from pipeline.shards.dataset.remote import RemoteFolder
from pipeline.shards.dataset.split_reader import SplitReader
from pipeline.shards.dataset.stream import SampleStream, Source, positions_as_rows
from tests.shards.dataset.sets import numbered_rows, write_set

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (extra `s3`)")


@pytest.fixture
def url(tmp_path):
    write_set(tmp_path / "far", {"train": np.array_split(numbered_rows(4000, 100), 5)})
    return f"file://{tmp_path}/far"


def read_all(reader: SplitReader):
    return reader.values(*positions_as_rows(reader, np.arange(reader.starts[-1])))


def cached(cache):
    return sorted(path.name for path in cache.glob("*/*.parquet"))


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
    reader._folder._fetcher.shutdown()
    assert cached(cache) == ["train-00001-of-00005.parquet"]
    reader = Source(url, cache=str(cache)).reader()
    stream = SampleStream(reader, mix_shards=2, epochs=2)
    stream.rows_of(4000, 4010)  # epoch 1: the second window of two shards
    reader._folder._fetcher.shutdown()
    wanted = {stream.reader.split.shards[n].path for n in stream._order(1).shards_of(1)}
    assert wanted <= set(cached(cache))


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
    path = next((tmp_path / "cache").glob("*/train-00003*"))
    path.write_bytes(path.read_bytes()[:50])
    assert np.array_equal(read_all(source.reader()), numbered_rows(4000, 100))


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


def test_s3(url, tmp_path, s3):
    files = fsspec.filesystem("s3")
    files.mkdir("reading")
    files.put(str(tmp_path / "far"), "reading/far", recursive=True)
    source = Source("s3://reading/far", cache=str(tmp_path / "cache"), verify=True)
    assert np.array_equal(read_all(source.reader()), numbered_rows(4000, 100))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    forked = context.Process(target=first_rows, args=("s3://reading/far", str(tmp_path / "other"), queue))
    forked.start()
    assert queue.get(timeout=60) == int(numbered_rows(4000, 100).sum())
    forked.join()
