"""Reading objects by ranges gives what reading a file gives, with few requests."""

import errno
import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.storage import object_reader as reader
from winnow.storage.cache import FileCache
from winnow.storage.config import StorageConfig
from winnow.storage.object_files import object_files
from winnow.storage.object_reader import ObjectReader
from winnow.storage.traffic import counted_traffic

pytest.importorskip("fsspec", reason="fsspec is not installed (extra `s3`)")
CONTENT = os.urandom(5000)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(reader, "FIRST_BLOCK_BYTES", 64)
    monkeypatch.setattr(reader, "LARGEST_BLOCK_BYTES", 256)


def written(content: bytes) -> tuple:
    files = object_files("memory://x", StorageConfig())
    url = f"memory://reader/{len(content)}"
    files.write(url, content)
    return files, url


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 700)),
        st.tuples(st.just("readinto"), st.integers(0, 700)),
        st.tuples(st.just("seek"), st.integers(0, 5200)),
        st.tuples(st.just("back"), st.integers(-5000, 0)),
        st.tuples(st.just("expect"), st.integers(0, 5200)),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(STEPS, st.sampled_from([0, 1, 64, 4096, 5000]), st.booleans())
def test_as_a_file(steps, size, known):
    content = CONTENT[:size]
    files, url = written(content)
    expected = io.BytesIO(content)
    with ObjectReader(files, url, size if known else None) as found:
        for step, number in steps:
            if step == "read":
                assert found.read(number) == expected.read(number)
            elif step == "readinto":
                mine, theirs = bytearray(number), bytearray(number)
                assert found.readinto(mine) == expected.readinto(theirs)
                assert mine == theirs
            elif step == "seek":
                assert found.seek(number) == expected.seek(number)
            elif step == "expect":
                found.expect(number)
            elif -number <= size:
                assert found.seek(number, io.SEEK_END) == expected.seek(number, io.SEEK_END)
            assert found.tell() == expected.tell()


def test_blocks_grow_while_reading_goes_on_in_order():
    files, url = written(CONTENT)
    with counted_traffic() as asked, ObjectReader(files, url) as file:
        assert b"".join(iter(lambda: file.read(10), b"")) == CONTENT
    assert asked["objects.get"] <= 2 + 5000 / 256 + 2


def test_a_range_costs_one_request_and_no_more_bytes():
    files, url = written(CONTENT)
    with counted_traffic() as asked, ObjectReader(files, url) as file:
        file.seek(1000)
        assert file.read(2000) == CONTENT[1000:3000]
    assert asked == {"objects.get": 1, "objects.bytes_read": 2000}


@pytest.mark.parametrize(("first", "end"), [(0, 1), (1000, 3000), (17, 17 + 256), (4000, 5000), (0, 5000)])
@pytest.mark.parametrize("step", [1, 100, 256, 5000])
def test_a_range_that_is_told_before_comes_in_large_blocks_and_nothing_else(first, end, step):
    files, url = written(CONTENT)
    with counted_traffic() as asked, ObjectReader(files, url) as file:
        file.seek(first)
        file.expect(end)
        read = b"".join(iter(lambda: file.read(min(step, end - file.tell())), b""))
        assert read == CONTENT[first:end]
    assert asked == {"objects.get": -(-(end - first) // 256), "objects.bytes_read": end - first}


def test_nothing_behind_the_end_is_fetched_after_a_jump_back_either():
    files, url = written(CONTENT)
    with counted_traffic() as asked, ObjectReader(files, url) as file:
        file.seek(2900)
        file.expect(3000)
        assert file.read(100) == CONTENT[2900:3000]
        file.seek(2800)
        assert file.read(1) + file.read(99) == CONTENT[2800:2900]
    assert asked == {"objects.get": 2, "objects.bytes_read": 100 + 200}


def test_a_cache_fetches_once_and_keeps_its_bound(tmp_path):
    cache = FileCache(tmp_path, 1000)
    fetched = []

    def fetch(path):
        fetched.append(path)
        path.write_bytes(b"x" * 400)

    paths = [cache.file(key, 400, fetch) for key in ("a", "b", "a")]
    assert len(fetched) == 2 and paths[0] == paths[2]
    for path in paths:
        os.utime(path, (1, 1))  # used long ago
    os.utime(paths[0], (2, 2))
    cache.file("c", 400, fetch)
    assert paths[0].exists() and not paths[1].exists()


def test_what_was_asked_for_a_moment_ago_stays(tmp_path):
    cache = FileCache(tmp_path, 500)
    paths = [cache.file(key, 400, lambda path: path.write_bytes(b"x" * 400)) for key in ("a", "b")]
    assert all(path.exists() for path in paths)


def test_a_fetch_that_fails_leaves_nothing(tmp_path):
    cache = FileCache(tmp_path, 1000)

    def fails(path):
        path.write_bytes(b"half")
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        cache.file("a", None, fails)
    assert not [path for path in tmp_path.glob("*/*") if path.is_file() and path.parent.name != "locks"]
    assert cache.file("a", None, lambda path: path.write_bytes(b"whole")).read_bytes() == b"whole"


def test_a_full_disk_makes_room_of_what_is_not_in_use(tmp_path):
    cache = FileCache(tmp_path, 1000)
    old, new = (cache.file(key, None, lambda path: path.write_bytes(b"x" * 400)) for key in ("old", "new"))
    os.utime(old, (1, 1))

    def fetch(path):
        if old.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(b"x")

    assert cache.file("a", None, fetch).read_bytes() == b"x"
    assert new.exists() and not old.exists()


def test_a_full_disk_is_told_at_once_and_names_its_setting(tmp_path):
    files, url = written(CONTENT)
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full, a device of Linux that is always full")

    def fetch(path):
        path.unlink(missing_ok=True)
        path.symlink_to("/dev/full")
        files.download(url, str(path))

    with counted_traffic() as asked, pytest.raises(OSError, match="storage.scratch") as told:
        FileCache(tmp_path, 1000).file("a", None, fetch)
    assert told.value.errno == errno.ENOSPC and "objects.retries" not in asked


def test_a_cache_is_its_users_own(tmp_path, monkeypatch):
    cache = FileCache(tmp_path / "cache", 1000)
    cache.file("a", None, lambda path: path.write_bytes(b"x"))
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    with pytest.raises(OSError, match="belongs to another user"):
        cache.file("a", None, lambda path: path.write_bytes(b"x"))
