import errno
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
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

    monkeypatch.setattr(Path, "rename", killed)
    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        store.compare_and_swap("lease", b"old", b"new")
    monkeypatch.undo()
    assert store.list("") == ["lease"] and store.read("lease") == b"old"
    assert store.remove_drafts() == 1 and store.files_below("") == ["lease"]


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


def test_a_file_is_taken_over_from_what_was_judged_alone(tmp_path):
    store = LocalStore(str(tmp_path))
    store.replace("lease", b"old")
    assert not store.compare_and_swap("lease", b"older", b"new")
    assert store.compare_and_swap("lease", b"old", b"new")
    assert not store.compare_and_swap("lease", b"old", b"newer")
    assert store.read("lease") == b"new" and store.files_below("") == ["lease"]
    assert not store.compare_and_swap("nothing", b"old", b"new") and store.files_below("") == ["lease"]


def test_a_take_over_whose_draft_is_removed_by_the_owner_takes_nothing(tmp_path, monkeypatch):
    store, real = LocalStore(str(tmp_path)), Path.rename

    def renamed(path, target):
        store.replace("lease", b"another's")  # who then owns the folder, and removes drafts
        store.remove_drafts()
        real(path, target)

    store.replace("lease", b"old")
    monkeypatch.setattr(Path, "rename", renamed)
    assert not store.compare_and_swap("lease", b"old", b"new")
    assert store.read("lease") == b"another's" and store.files_below("") == ["lease"]


def test_a_file_that_was_renewed_while_it_was_judged_stays(tmp_path, monkeypatch):
    store, real = LocalStore(str(tmp_path)), os.fsync

    def sync(handle):
        real(handle)
        monkeypatch.setattr(os, "fsync", real)
        (tmp_path / "lease").write_bytes(b"renewed")

    store.replace("lease", b"old")
    monkeypatch.setattr(os, "fsync", sync)
    assert not store.compare_and_swap("lease", b"old", b"new")
    assert store.read("lease") == b"renewed" and store.files_below("") == ["lease"]


def test_a_file_is_there_all_the_time_while_it_is_taken_over(tmp_path, monkeypatch):
    store, calls = LocalStore(str(tmp_path)), []
    store.replace("lease", b"old")

    def watched(real):
        def call(*given, **named):
            real(*given, **named)
            calls.append((tmp_path / "lease").read_bytes())

        return call

    for name in ("rename", "replace", "link", "unlink"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    assert store.compare_and_swap("lease", b"old", b"new") and calls and set(calls) == {b"new"}


def test_one_of_many_takes_a_file_over(tmp_path):
    store, taken = LocalStore(str(tmp_path)), 0
    store.replace("lease", b"old")
    with ThreadPoolExecutor(8) as pool:
        for turn in range(20):
            old, news = store.read("lease"), [f"{turn} by {who}".encode() for who in range(8)]
            took = list(pool.map(store.compare_and_swap, repeat("lease"), repeat(old), news))
            assert took.count(True) <= 1
            assert True not in took or store.read("lease") == news[took.index(True)]
            taken += took.count(True)
    assert taken > 10 and store.files_below("") == ["lease"]


@pytest.mark.parametrize("judged", [None, b"old"])
def test_a_taker_that_stood_still_between_its_look_and_its_rename_takes_nothing(tmp_path, monkeypatch, judged):
    store, real, another = LocalStore(str(tmp_path)), Path.rename, []

    def renamed(path, target):
        if not another:
            another.append("is at it")
            if judged is None:
                store.remove("lease")  # given back by its owner, who lived after all
            another.append(store.compare_and_swap("lease", judged, b"another's"))
        real(path, target)

    store.replace("lease", b"old")
    monkeypatch.setattr(Path, "rename", renamed)
    assert not store.compare_and_swap("lease", b"old", b"new")
    assert another[1] and store.read("lease") == b"another's" and store.files_below("") == ["lease"]


@pytest.mark.parametrize("judged", [None, b"old"])
def test_who_was_overtaken_before_its_look_owns_nothing(tmp_path, monkeypatch, judged):
    store, real, late = LocalStore(str(tmp_path)), LocalStore.remove_drafts_here, tmp_path / ".draft-lease.of-another"

    def removed(*given):
        late.rename(tmp_path / "lease")  # it had looked before
        real(*given)

    late.write_bytes(b"another's")
    if judged:
        store.replace("lease", judged)
    monkeypatch.setattr(LocalStore, "remove_drafts_here", removed)
    assert not store.compare_and_swap("lease", judged, b"new")
    assert store.read("lease") == b"another's"


def test_takers_that_died_are_in_nobodys_way(tmp_path, monkeypatch):
    store, real = LocalStore(str(tmp_path)), Path.rename
    store.replace("lease", b"old")
    monkeypatch.setattr(Path, "rename", lambda *_: os._exit(0))  # dies between its look and its rename
    for number in range(2):
        child = os.fork()
        if child == 0:
            store.compare_and_swap("lease", b"old", b"the dead")
        os.waitpid(child, 0)
        assert len(store.files_below("")) == 2 + number and store.read("lease") == b"old"
    monkeypatch.setattr(Path, "rename", real)
    assert store.compare_and_swap("lease", b"old", b"new")
    assert store.read("lease") == b"new" and store.files_below("") == ["lease"]


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
