"""The object stores that tests of thousands of runs use answer as s3fs does before an S3 server."""

import boto3
import pytest

from tests.support.small_objects import FolderObjects, MemoryObjects
from winnow.storage.config import StorageConfig
from winnow.storage.object_errors import is_beyond_end, lost_race
from winnow.storage.schemes import file_system

FIELDS = ("name", "size", "type")
BUCKET = "same-answers"


def answers(files, scratch) -> list:
    """What a store says to each kind of request, in the terms that Winnow looks at."""
    said = []

    def ask(do, tells=False) -> None:
        try:
            found = do()
        except Exception as error:  # noqa: BLE001 - kinds of refusal are compared
            missing = isinstance(error, FileNotFoundError)
            said.append("missing" if missing else (lost_race(error), is_beyond_end(error)))
            return
        if isinstance(found, bytes):
            said.append(found)
        elif isinstance(found, dict) and "name" in found:
            said.append(tuple(found[name] for name in FIELDS))
        elif tells:
            listed = found.values() if isinstance(found, dict) else found
            said.append(sorted(tuple(told[name] for name in FIELDS) for told in listed))

    def url(key: str) -> str:
        return f"s3://{BUCKET}/{key}"

    local = scratch / "file"
    local.write_bytes(b"from a file")
    ask(lambda: files.pipe_file(url("a/one"), b"0123456789"))
    ask(lambda: files.pipe_file(url("a/one"), b"other", mode="create"))
    ask(lambda: files.pipe_file(url("a/two"), b"two", mode="create"))
    ask(lambda: files.pipe_file(url("a/b/three x%2F"), b"three"))
    ask(lambda: files.put_file(str(local), url("a/b/four")))
    for name in ("a/one", "a/two", "a/b/four", "a/none"):
        ask(lambda name=name: files.cat_file(url(name)))
    ask(lambda: files.cat_file(url("a/one"), start=2, end=5))
    ask(lambda: files.cat_file(url("a/one"), start=8, end=50))
    ask(lambda: files.cat_file(url("a/one"), start=10, end=12))
    for name in ("a/one", "a", "a/b", "a/none"):
        ask(lambda name=name: files.info(url(name)))
        files.invalidate_cache()
        ask(lambda name=name: files.ls(url(name), detail=True), tells=True)
        ask(lambda name=name: files.find(url(name), detail=True), tells=True)
    ask(lambda: files.find(url("a"), detail=True, prefix="t"), tells=True)
    ask(lambda: files.cp_file(url("a/one"), url("a/five")))
    ask(lambda: files.cp_file(url("a/none"), url("a/six")))
    ask(lambda: files.rm_file(url("a/one")))
    ask(lambda: files.rm_file(url("a/one")))
    ask(lambda: files.get_file(url("a/five"), str(local)))
    ask(lambda: files.get_file(url("a/one"), str(local)))
    files.invalidate_cache()
    ask(lambda: files.find(url("a"), detail=True), tells=True)
    return said


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_they_answer_as_s3fs_does(s3, tmp_path):
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    theirs = answers(file_system("s3", StorageConfig()), tmp_path)
    for ours in (FolderObjects(tmp_path / "objects"), MemoryObjects()):
        said = answers(ours, tmp_path)
        for number, (one, other) in enumerate(zip(said, theirs, strict=True)):
            assert one == other, f"request {number}"
