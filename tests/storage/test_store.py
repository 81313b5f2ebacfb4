import errno
import os
from pathlib import Path

import pytest

from tests.support.small_objects import MemoryObjects
from winnow.errors import StorageError
from winnow.storage import object_files
from winnow.storage.local_store import LocalStore
from winnow.storage.object_store import ObjectStore


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


def test_a_take_over_that_is_killed_leaves_a_draft_and_no_more(tmp_path, monkeypatch):
    store = LocalStore(str(tmp_path))
    store.replace("lease", b"old")

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        store.compare_and_swap("lease", b"old", b"new")
    monkeypatch.undo()
    assert store.list("") == [] and store.remove_drafts() == 1 and store.files_below("") == []


def test_who_asks_for_a_folder_bears_that_its_owner_removes_all_drafts(tmp_path, monkeypatch):
    """A newcomer's draft of a lease is one of them."""
    store, real, removed = LocalStore(str(tmp_path)), os.fsync, []

    def sync(handle):
        real(handle)
        if not removed:
            removed.append(store.remove_drafts())

    monkeypatch.setattr(os, "fsync", sync)
    assert store.create_exclusive("lease", b"mine")
    assert removed == [1] and store.files_below("") == ["lease"] and store.read("lease") == b"mine"
    removed.clear()
    assert not store.create_exclusive("lease", b"another's")
    assert removed == [1] and store.read("lease") == b"mine"


def test_who_has_lost_a_folder_is_told_so_where_its_draft_is_gone(tmp_path):
    store = LocalStore(str(tmp_path))
    with pytest.raises(StorageError, match="another run takes the folder over"), store.create("x") as draft:
        draft.write(b"1")
        store.remove_drafts()


def test_a_take_over_whose_file_is_removed_meanwhile_takes_nothing(tmp_path, monkeypatch):
    store, real = LocalStore(str(tmp_path)), Path.rename

    def renamed(path, target):
        real(path, target)
        store.replace("lease", b"another's")  # who then owns the folder, and removes drafts
        store.remove_drafts()

    store.replace("lease", b"old")
    monkeypatch.setattr(Path, "rename", renamed)
    assert not store.compare_and_swap("lease", b"old", b"new")
    assert store.read("lease") == b"another's"


def test_a_file_that_was_renewed_while_it_was_judged_is_put_back(tmp_path, monkeypatch):
    store, real = LocalStore(str(tmp_path)), Path.rename

    def renamed(path, target):
        store.replace("lease", b"renewed")
        real(path, target)

    store.replace("lease", b"old")
    monkeypatch.setattr(Path, "rename", renamed)
    assert not store.compare_and_swap("lease", b"old", b"new")
    assert store.read("lease") == b"renewed" and store.files_below("") == ["lease"]


def test_a_file_that_was_removed_while_it_was_aside_is_put_back_too(tmp_path, monkeypatch):
    store, read = LocalStore(str(tmp_path)), Path.read_bytes

    def removed_after(path):
        content = read(path)
        if ".draft-" in path.name:
            store.remove_drafts()  # by the file's owner, who has just taken the folder
        elif content == b"old":
            store.replace("lease", b"renewed")
        return content

    store.replace("lease", b"old")
    monkeypatch.setattr(Path, "read_bytes", removed_after)
    assert not store.compare_and_swap("lease", b"old", b"new")
    assert read(tmp_path / "lease") == b"renewed" and store.files_below("") == ["lease"]


@pytest.fixture
def far(monkeypatch):
    """A run folder in an object store without a server."""
    monkeypatch.setattr(object_files, "file_system", None)
    monkeypatch.setattr(object_files, "_clients", {})
    MemoryObjects().install()
    return ObjectStore("s3://bucket/run")


def test_who_asks_a_far_folder_for_its_time_bears_that_its_owner_removes_all_drafts(far, monkeypatch):
    modified, removed = far.modified, []

    def removed_before(relative):
        if not removed:
            removed.append(far.remove_drafts_here())
        return modified(relative)

    far.replace("lease", b"held")
    monkeypatch.setattr(far, "modified", removed_before)
    assert far.older_than("lease", -1) == ["lease"] and removed == [None]
    assert far.files_below("") == ["lease"]


def test_a_probe_that_the_owner_removes_says_nothing_of_the_server(far, monkeypatch):
    files, removed = far._files, []
    create = files.create

    def created(url, data):
        if data == b"second" and not removed:
            removed.append(far.remove_drafts_here())
        return create(url, data)

    monkeypatch.setattr(files, "create", created)
    far.check_exclusive()
    assert removed == [None] and far.files_below("") == []
