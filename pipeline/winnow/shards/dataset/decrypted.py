"""Encrypted shards as a reader opens them: by the key that the set's manifest names, out of mapped files."""

import io
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple, cast

from winnow.storage.age import AgeReader
from winnow.storage.keys import Key


class NamedKey(NamedTuple):
    """Where the key of a shard set is found, as its manifest and the reader's arguments have it."""

    variable: str
    """Of the environment."""
    key_id: str
    command: None = None
    """A manifest may come from anybody: it names no program that would be run."""


class _Mapped(io.RawIOBase):
    """A mapped file as one that is read."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on reading elsewhere."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        """So many bytes, or all that are left."""
        found = self._data[self._at : None if size < 0 else self._at + size]
        self._at += len(found)
        return bytes(found)


class Sealed(AgeReader):
    """An encrypted file that is mapped; ``bytes`` of content."""

    def __init__(self, data: memoryview, name: str, key: Callable[[], Key]) -> None:
        super().__init__(cast(BinaryIO, _Mapped(data)), name, key())
        self.bytes = self.seek(0, io.SEEK_END)


def decrypted(content: bytes, name: str, key: Callable[[], Key]) -> bytes:
    """The content of a small encrypted file."""
    return AgeReader(io.BytesIO(content), name, key()).read()


def decryption_of(data: memoryview, key: Callable[[], Key]) -> dict[str, Any]:
    """What Arrow's Parquet reader takes beside a file: nothing, but where it is encrypted inside."""
    if bytes(data[-4:]) != b"PARE":
        return {}
    from winnow.storage.parquet_keys import decryption_properties  # noqa: PLC0415

    return {"decryption_properties": decryption_properties(key())}
