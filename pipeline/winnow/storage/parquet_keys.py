"""Parquet modular encryption: every page and the footer under a random key of the file's own, by pyarrow.

The file's key (AES-256-GCM) stands in the file, wrapped by a key derived of the user's (AES key wrap, RFC 3394), beside
the id of that. Format: Apache Parquet's "Parquet Modular Encryption", with key material inside the file. Any reader
that speaks it and unwraps keys so reads these files (docs/encryption.md).
"""

import base64
from functools import lru_cache
from typing import Any

import pyarrow.parquet.encryption as pe

from winnow.errors import EncryptionError
from winnow.storage.keys import Key, primitives

PURPOSE = "parquet"
"""What the wrapping key is derived for (:meth:`winnow.storage.keys.Key.derived`)."""


class _Wrapping(pe.KmsClient):  # type: ignore[misc]  # pyarrow has no types
    """Wraps the keys of files; stays in this process."""

    def __init__(self, key: Key) -> None:
        super().__init__()
        self._key = key

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
        """A file's key as it stands in the file."""
        assert master_key_identifier == self._key.id
        return base64.b64encode(primitives().keywrap.aes_key_wrap(self._key.derived(PURPOSE), key_bytes))

    def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
        """The file's key again."""
        if master_key_identifier != self._key.id:
            raise EncryptionError(
                f"encrypted with the key with id {master_key_identifier}, not with the one with id {self._key.id}"
            )
        unwrapped: bytes = primitives().keywrap.aes_key_unwrap(
            self._key.derived(PURPOSE), base64.b64decode(wrapped_key)
        )
        return unwrapped


@lru_cache(maxsize=4)
def _factory(key: Key) -> Any:
    """Lives as long as files are written and read: pyarrow asks it for keys later on."""
    return pe.CryptoFactory(lambda _connection: _Wrapping(key))


def encryption_properties(key: Key) -> Any:
    """What a Parquet writer takes as ``encryption_properties``; for one file."""
    settings = pe.EncryptionConfiguration(
        footer_key=key.id, uniform_encryption=True, double_wrapping=False, data_key_length_bits=256
    )
    return _factory(key).file_encryption_properties(pe.KmsConnectionConfig(), settings)


def decryption_properties(key: Key) -> Any:
    """What a Parquet reader takes as ``decryption_properties``."""
    return _factory(key).file_decryption_properties(pe.KmsConnectionConfig())
