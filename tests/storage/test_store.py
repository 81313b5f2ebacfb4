import errno
import os

import pytest

from winnow.errors import StorageError
from winnow.storage.local_store import LocalStore


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    store = LocalStore(str(tmp_path))
    with pytest.raises(RuntimeError, match="stop"), store.create("a/b.bin") as draft:
        draft.write(b"half")
        raise RuntimeError("stop")
    assert not store.exists("a/b.bin")
    assert os.listdir(tmp_path / "a") == []
    with store.create("a/b.bin") as draft:
        draft.write(b"whole")
        assert not store.exists("a/b.bin")
    assert store.read("a/b.bin") == b"whole"


def test_hash_is_that_of_the_bytes(tmp_path):
    import hashlib

    store = LocalStore(str(tmp_path))
    with store.create("x", "sha256") as draft:
        draft.write(b"one ")
        draft.write(bytearray(b"two"))
    assert draft.hash == "sha256:" + hashlib.sha256(b"one two").hexdigest()
    assert draft.bytes == 7


def test_only_one_creates_exclusively(tmp_path):
    store = LocalStore(str(tmp_path))
    assert store.create_exclusive("r.json", b"first")
    assert not store.create_exclusive("r.json", b"second")
    assert store.read("r.json") == b"first"
    assert store.list("") == ["r.json"]


def test_drafts_of_killed_processes_are_invisible_and_removed(tmp_path):
    store = LocalStore(str(tmp_path))
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / ".draft-x-host-1").write_bytes(b"half")
    assert store.list("work") == []
    assert store.remove_drafts() == 1
    assert list((tmp_path / "work").iterdir()) == []


def test_full_disk_says_what_to_do(tmp_path, monkeypatch):
    import errno

    store = LocalStore(str(tmp_path))

    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="free space or point `run`"), store.create("x") as draft:
        draft.write(b"1")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_is_needed(tmp_path):
    (tmp_path / "run").write_text("a file")
    store = LocalStore(str(tmp_path / "run"))
    with pytest.raises(OSError), store.create("x") as draft:
        draft.write(b"1")


def test_a_second_name_is_a_link_and_replaces_what_has_it(tmp_path):
    store = LocalStore(str(tmp_path))
    store.replace("a.bin", b"one")
    store.replace("b.npy", b"other")
    assert store.link("a.bin", "b.npy")
    assert store.link("a.bin", "b.npy")  # again, over itself
    assert store.path("b.npy").samefile(store.path("a.bin"))
    assert store.list("") == ["a.bin", "b.npy"]
    assert not list(tmp_path.glob(".draft-*"))


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_a_disk_without_links_gives_no_second_name(tmp_path, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, "no links here")

    store = LocalStore(str(tmp_path))
    store.replace("a.bin", b"one")
    monkeypatch.setattr(os, "link", refuse)
    assert not store.link("a.bin", "a.npy")
    assert store.list("") == ["a.bin"]


def test_other_faults_of_a_link_are_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        LocalStore(str(tmp_path)).link("missing.bin", "a.npy")
