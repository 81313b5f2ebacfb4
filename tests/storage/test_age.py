"""Encrypted files, against age's own library: each opens what the other wrote; and any range of them."""

import io
import random

import pytest

from winnow.errors import EncryptionError, StorageError
from winnow.storage.age import CHUNK_BYTES, AgeReader, Sealer, identity_of
from winnow.storage.keys import Key, new_key, parse_key

pyrage = pytest.importorskip("pyrage", reason="pyrage is not installed (make dev)")
pytest.importorskip("cryptography", reason="cryptography is not installed (extra `encryption`)")
SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES + 77)


@pytest.fixture(scope="module")
def key() -> Key:
    return parse_key(new_key(), "here")


def sealed(key: Key, data: bytes, seed: int = 0) -> bytes:
    """The file, whatever the pieces in which it is written."""
    sealer, at, draw = Sealer(key), 0, random.Random(seed)
    found = bytearray(sealer.head)
    while at < len(data):
        step = draw.choice([1, 1000, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 200_000])
        found += sealer.sealed(memoryview(data)[at : at + step])
        at += step
    return bytes(found + sealer.end())


def opened(key: Key, data: bytes) -> AgeReader:
    return AgeReader(io.BytesIO(data), "shard.age", key)


@pytest.mark.parametrize("size", SIZES)
def test_the_library_reads_ours_and_we_read_its(key, size):
    data, identity = random.Random(size).randbytes(size), pyrage.x25519.Identity.from_str(identity_of(key))
    assert pyrage.decrypt(sealed(key, data, size), [identity]) == data
    assert opened(key, pyrage.encrypt(data, [identity.to_public()])).read() == data
    another = pyrage.x25519.Identity.generate().to_public()
    assert opened(key, pyrage.encrypt(data, [another, identity.to_public()])).read() == data


@pytest.mark.parametrize("size", SIZES)
def test_any_range_is_read(key, size):
    data, draw = random.Random(size).randbytes(size), random.Random(1)
    file = opened(key, sealed(key, data))
    for _ in range(100):
        first = draw.randint(0, size)
        end = draw.choice([first, size, draw.randint(first, size), min(size, first + 100)])
        file.seek(first)
        assert file.read(end - first) == data[first:end]
        assert file.tell() == end
    buffer = bytearray(size + 5)
    file.seek(0)
    assert file.readinto(buffer) == size and bytes(buffer[:size]) == data


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 3])
def test_whatever_is_changed_is_found(key, size):
    data = random.Random(size).randbytes(size)
    whole = sealed(key, data)
    chunks = len(whole) - size - 16 * max(1, -(-size // CHUNK_BYTES))
    changed = [bytearray(whole) for _ in range(40)]
    draw = random.Random(3)
    for copy in changed:  # one byte anywhere, the parts that decide most among them
        copy[draw.choice([draw.randrange(len(whole)), draw.randrange(chunks), len(whole) - 1])] ^= 1
    cut = [whole[:-cut] for cut in (1, 16, 17, min(len(whole) - 1, CHUNK_BYTES + 16), len(whole) - 10)]
    more = [whole + b"x", whole + whole[-16:]]
    if size > CHUNK_BYTES:
        sealed_bytes = CHUNK_BYTES + 16
        a, b = whole[chunks : chunks + sealed_bytes], whole[chunks + sealed_bytes : chunks + 2 * sealed_bytes]
        cut.append(whole[:chunks] + a)  # the rest left out, at a chunk's end
        more.append(whole[:chunks] + b + a + whole[chunks + 2 * sealed_bytes :])  # swapped
    for file in (*map(bytes, changed), *cut, *more):
        with pytest.raises((StorageError, EncryptionError)):
            opened(key, file).read()


def test_another_key_is_told_by_name(key):
    other = parse_key(new_key(), "there")
    with pytest.raises(EncryptionError, match=f"the key with id {key.id}, not with the one with id {other.id}"):
        opened(other, sealed(key, b"text"))
    foreign = pyrage.encrypt(b"text", [pyrage.x25519.Identity.generate().to_public()])
    with pytest.raises(EncryptionError, match="encrypted with another key"):
        opened(key, foreign)
    with pytest.raises(StorageError, match="no age file"):
        opened(key, b"PAR1" * 100)


def test_no_two_files_are_alike(key):
    """Each has a key and a nonce of its own: nothing repeats under one key."""
    one, other = sealed(key, bytes(1000)), sealed(key, bytes(1000))
    assert len(one) == len(other) and one != other
    assert one[-1016:] != other[-1016:]
