"""Stores write and read encrypted files by their names, and two attempts at one file agree on one of them."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.storage.test_object_store import BUCKET
from winnow.errors import EncryptionError, StorageError
from winnow.storage.config import EncryptionConfig, StorageConfig
from winnow.storage.keys import new_key
from winnow.storage.local_store import LocalStore
from winnow.storage.object_files import PART_BYTES
from winnow.storage.open_store import open_store
from winnow.storage.store import Store

pytest.importorskip("cryptography", reason="cryptography is not installed (extra `encryption`)")
CONTENT = b"".join(b"%07d\n" % n for n in range(40_000))


@pytest.fixture(params=["disk", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def store(request, tmp_path, monkeypatch) -> Store:
    monkeypatch.setenv("WINNOW_KEY", new_key())
    if request.param == "disk":
        return LocalStore(str(tmp_path))
    pytest.importorskip("fsspec", reason="fsspec is not installed (extra `s3`)")
    storage = StorageConfig(scratch=str(tmp_path / "scratch"))
    if request.param == "memory":
        return open_store(f"memory://{tmp_path.name}", storage)
    import s3fs

    request.getfixturevalue("s3")
    s3fs.S3FileSystem().makedirs(BUCKET, exist_ok=True)
    return open_store(f"s3://{BUCKET}/{tmp_path.name}", storage)


def write(store: Store, path: str, content: bytes = CONTENT, **how):
    with store.create(path, "sha256", **how) as draft:
        draft.write(content)
        assert draft.tell() == len(content)
    return draft


def test_what_is_stored_is_encrypted_and_what_is_read_is_not(store):
    draft = write(store, "a.bin.age")
    stored = store.read_stored("a.bin.age")
    assert b"0000123" not in stored and len(stored) == store.size("a.bin.age") == draft.bytes
    assert store.hash("a.bin.age", "sha256") == draft.hash
    assert draft.content_bytes == len(CONTENT) and draft.content_hash == write(store, "plain").hash
    assert store.read("a.bin.age") == CONTENT
    assert store.local("a.bin.age").read_bytes() == CONTENT
    with store.open("a.bin.age") as file:
        file.seek(-8, 2)
        assert file.read() == CONTENT[-8:]
    ranges = [("a.bin.age", 8 * n, 8 * n + 16) for n in (0, 8191, 39_000)]
    assert [file.read(16) for file in store.open_each(ranges)] == [CONTENT[a:b] for _, a, b in ranges]
    store.replace("small.age", b"small")
    assert store.read("small.age") == b"small" and b"small" not in store.read_stored("small.age")


def test_tables_are_read_as_they_are(store):
    table = pa.table({"n": range(100_000)})
    with store.create("t.parquet.age") as draft:
        pq.write_table(table, draft.arrow())
    assert pq.read_table(store.columns_of("t.parquet.age")).equals(table)
    with store.create("t.arrow.age") as draft, pa.ipc.new_file(draft.arrow(), table.schema) as file:
        file.write_table(table)
    assert pa.ipc.open_file(store.mapped("t.arrow.age")).read_all().equals(table)
    with store.create("inside.parquet") as draft:
        pq.write_table(table, draft.arrow(), **store.encryption())
    assert pq.read_table(store.columns_of("inside.parquet"), **store.decryption("inside.parquet")).equals(table)
    with pytest.raises(OSError, match="no decryption found"):
        pq.read_table(store.columns_of("inside.parquet"))


def test_an_altered_file_gives_nothing_of_what_was_altered(store):
    write(store, "a.age")
    stored = bytearray(store.read_stored("a.age"))
    stored[len(stored) // 2] ^= 1
    with store.create("b") as draft:
        draft.write(stored)
    store.rename("b", "a.age")
    with pytest.raises(StorageError, match="a.age: altered"):
        store.read("a.age")


def test_of_two_attempts_the_first_stays_and_both_tell_its_hash(store):
    first = write(store, "a.age", once=True)
    before = store.read_stored("a.age")
    second = write(store, "a.age", once=True)
    assert store.read_stored("a.age") == before
    assert first.hash == second.hash == store.hash("a.age", "sha256") and first.bytes == second.bytes
    store.remove("a.age")  # and one that was cut is written over
    with store.create("cut") as draft:
        draft.write(before[:-100])
    store.rename("cut", "a.age")
    third = write(store, "a.age", once=True)
    assert store.read("a.age") == CONTENT and store.hash("a.age", "sha256") == third.hash != first.hash
    assert write(store, "a.age").hash != third.hash  # without: the last stays
    if not store.is_remote:
        assert not list(store.path("").rglob(".draft-*"))


def test_no_key_no_file(store, monkeypatch):
    write(store, "a.age")
    monkeypatch.delenv("WINNOW_KEY")
    with pytest.raises(EncryptionError, match="no key"):
        store.read("a.age")
    with pytest.raises(EncryptionError, match="no key"):
        write(store, "b.age")
    monkeypatch.setenv("WINNOW_KEY", new_key())
    with pytest.raises(EncryptionError, match="a.age: encrypted with the key"):
        store.read("a.age")
    store.storage = StorageConfig(encryption=EncryptionConfig(key_id="0123456789abcdef"))
    with pytest.raises(EncryptionError, match="wrong key"):
        write(store, "b.age")
    assert not store.exists("b.age")


@pytest.mark.slow
def test_every_write_asks_for_server_side_encryption(s3, tmp_path):
    """Small objects and large ones, conditional creation and copies: what the server says of each."""
    import boto3
    import s3fs

    s3fs.S3FileSystem().makedirs(BUCKET, exist_ok=True)
    key = "arn:aws:kms:us-east-1:111122223333:key/0d990263-018e-4e65-a703-eff731de951e"
    storage = StorageConfig(scratch=str(tmp_path / "scratch"), sse="aws:kms", sse_kms_key_id=key)
    store = open_store(f"s3://{BUCKET}/sse", storage)
    store.replace("replaced.json", b"{}")
    assert store.create_exclusive("record.json", b"{}")
    write(store, "small.bin", b"small")
    write(store, "large.bin", bytes(3 * PART_BYTES))
    write(store, "once.bin", bytes(3 * PART_BYTES), once=True)
    store.link("large.bin", "linked.bin")
    client = boto3.client("s3")
    for name in ("replaced.json", "record.json", "small.bin", "large.bin", "once.bin", "linked.bin"):
        told = client.head_object(Bucket=BUCKET, Key=f"sse/{name}")
        assert (told["ServerSideEncryption"], told["SSEKMSKeyId"]) == ("aws:kms", key), name
    plain = open_store(f"s3://{BUCKET}/plain", StorageConfig(scratch=str(tmp_path / "scratch")))
    plain.replace("a.json", b"{}")
    assert "SSEKMSKeyId" not in client.head_object(Bucket=BUCKET, Key="plain/a.json")
