"""Copies of what a config names in a store: once a node, of one version, files and folders of models."""

import threading

import pytest

from winnow.errors import NamedObjectError
from winnow.storage.config import StorageConfig
from winnow.storage.node_copy import node_copy, pinned, without_pin

BUCKET = "winnow-named"


@pytest.fixture
def files(s3):
    import s3fs

    found = s3fs.S3FileSystem(use_listings_cache=False)
    found.makedirs(BUCKET, exist_ok=True)
    return found


@pytest.fixture
def at(tmp_path):
    return f"s3://{BUCKET}/{tmp_path.name}"


@pytest.fixture
def storage(tmp_path):
    return StorageConfig(scratch=str(tmp_path / "scratch"), retries=0)


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def test_a_file_is_copied_once_under_its_name_and_a_path_is_itself(files, at, storage, monkeypatch):
    files.pipe(f"{at}/vocab.tiktoken", b"first")
    address = pinned(f"{at}/vocab.tiktoken", storage)
    assert without_pin(address) == f"{at}/vocab.tiktoken" and pinned(address, storage) == address
    copy = node_copy(address, storage)
    assert copy.endswith("/vocab.tiktoken") and read(copy) == b"first"
    files.rm(f"{at}/vocab.tiktoken")
    assert node_copy(address, storage) == copy  # and nothing is asked for again
    assert node_copy("some/file.txt", storage) == pinned("some/file.txt", storage) == "some/file.txt"


def test_another_content_is_another_version_and_no_other_is_taken_for_it(files, at, storage):
    url = f"{at}/vocab.tiktoken"
    files.pipe(url, b"first")
    first = pinned(url, storage)
    files.pipe(url, b"other")
    assert pinned(url, storage) != first
    with pytest.raises(NamedObjectError, match="no longer what the run began with"):
        node_copy(first, storage)
    assert read(node_copy(url, storage)) == b"other"
    files.pipe(url, b"first")
    assert pinned(url, storage) == first and read(node_copy(first, storage)) == b"first"


def test_a_change_while_it_is_copied_leaves_no_copy(files, at, storage, monkeypatch, tmp_path):
    url = f"{at}/centres.npy"
    files.pipe(url, b"first")
    address = pinned(url, storage)
    from winnow.storage.object_files import ObjectFiles

    download = ObjectFiles.download

    def late(self, source, path):
        files.pipe(url, b"other")
        download(self, source, path)

    monkeypatch.setattr(ObjectFiles, "download", late)
    with pytest.raises(NamedObjectError, match="no longer"):
        node_copy(address, storage)
    assert [path.name for path in tmp_path.rglob("centres.npy")] == []


def test_of_a_folder_what_belongs_to_a_model(files, at, storage):
    model = {"config.json": b"{}", "1_Pooling/config.json": b"[]", "model.safetensors": b"x" * 1000}
    for name, content in (model | {"pytorch_model.bin": b"pickled", "onnx/model.onnx": b"converted"}).items():
        files.pipe(f"{at}/model/{name}", content)
    files.pipe(f"{at}/model-2/config.json", b"another one")
    copy = node_copy(f"{at}/model/", storage)
    from pathlib import Path

    found = {str(p.relative_to(copy)): p.read_bytes() for p in Path(copy).rglob("*") if p.is_file()}
    assert found == model
    before = pinned(f"{at}/model", storage)
    files.pipe(f"{at}/model/1_Pooling/config.json", b"[1]")
    assert pinned(f"{at}/model", storage) != before


def test_threads_fetch_one_copy(files, at, storage, monkeypatch):
    files.pipe(f"{at}/vocab.txt", b"words")
    address = pinned(f"{at}/vocab.txt", storage)
    from winnow.storage.object_files import ObjectFiles

    asked, download = [], ObjectFiles.download
    monkeypatch.setattr(ObjectFiles, "download", lambda *a: (asked.append(a), download(*a)))
    threads = [threading.Thread(target=node_copy, args=(address, storage)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1 and read(node_copy(address, storage)) == b"words"


def test_what_is_not_there_is_named(files, at, storage):
    with pytest.raises(NamedObjectError, match=f"{at}/nothing: no such object"):
        node_copy(f"{at}/nothing", storage)
