"""Keys: where one is found, what is derived of it, and the id that may be told.

A key is 32 random bytes, as text in hexadecimal or base64. It stays in the memory of the process that found it: it is
not printed, not pickled and not written, and no process passes it on to another one. What encrypts is derived from it,
by purpose (HKDF-SHA-256, RFC 5869); so is its id, of which nothing leads back.
"""

import base64
import binascii
import hmac
import os
import re
import shlex
import subprocess
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import NoReturn, Protocol

from winnow.errors import EncryptionError

KEY_BYTES = 32
COMMAND_SECONDS = 60
"""A command that has not printed the key by then has failed."""
_DERIVED = "winnow/v1/{}"
_HOW = "expected 32 random bytes in base64 or hexadecimal, as `winnow key --new` prints them"


class KeySource(Protocol):
    """Where a key is found."""

    @property
    def variable(self) -> str:
        """Name of the variable of the environment that holds it."""

    @property
    def command(self) -> tuple[str, ...] | None:
        """A program that prints it, and its arguments; None where there is none."""

    @property
    def key_id(self) -> str | None:
        """Its id; None where any key will do."""


class Key:
    """One key."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.id = self.derived("id")[:8].hex()
        """16 hexadecimal digits that name it."""

    def derived(self, purpose: str) -> bytes:
        """32 bytes for one purpose: HKDF-SHA-256 of the key without salt, with the info ``winnow/v1/PURPOSE``."""
        extracted = hmac.digest(bytes(32), self._secret, "sha256")
        return hmac.digest(extracted, _DERIVED.format(purpose).encode() + b"\x01", "sha256")

    def __eq__(self, other: object) -> bool:
        """Whether both have one id."""
        return isinstance(other, Key) and self.id == other.id

    def __hash__(self) -> int:
        """Of its id."""
        return hash(self.id)

    def __repr__(self) -> str:
        """Its id; the key itself is never shown."""
        return f"Key(id={self.id!r})"

    def __reduce__(self) -> NoReturn:
        """A key does not leave its process."""
        raise TypeError("a key stays in the process that found it")


@cache
def primitives() -> SimpleNamespace:
    """What the package ``cryptography`` gives.

    Raises:
        EncryptionError: it is not installed.
    """
    try:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - the extra `encryption`
        from cryptography.hazmat.primitives import keywrap  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import x25519  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers import aead  # noqa: PLC0415
    except ImportError as error:
        raise EncryptionError(
            f"encryption needs the package cryptography ({error}); pip install 'winnow-corpus[encryption]', on every "
            "node"
        ) from None
    return SimpleNamespace(InvalidTag=InvalidTag, keywrap=keywrap, curve=x25519, ciphers=aead)


def new_key() -> str:
    """A new key as text."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def parse_key(text: str, where: str) -> Key:
    """A key from its text.

    Raises:
        EncryptionError: it is none; the message names ``where`` it was found, and nothing of it.
    """
    text = text.strip()
    try:
        secret = (
            bytes.fromhex(text) if re.fullmatch(r"[0-9a-fA-F]{64}", text) else base64.b64decode(text, validate=True)
        )
    except (binascii.Error, ValueError):
        raise EncryptionError(f"{where}: what it holds is no key; {_HOW}") from None
    if len(secret) != KEY_BYTES:
        raise EncryptionError(f"{where}: it holds {len(secret):,} bytes; {_HOW}")
    if len(set(secret)) < 8:
        raise EncryptionError(f"{where}: what it holds is not random; {_HOW}")
    return Key(secret)


def find_key(settings: KeySource) -> Key:
    """The key that settings lead to; found once by each process.

    Raises:
        EncryptionError: there is none, it cannot be used, or it is another one than the settings name.
    """
    if settings.command is not None:
        where = f"`{settings.command[0]}` (storage.encryption.command)"
        key = _printed(os.getpid(), settings.command)
    else:
        name = settings.variable
        where = f"the variable {name} of the environment"
        text = os.environ.get(name, "")
        if not text.strip():
            named = f" (key id {settings.key_id})" if settings.key_id else ""
            raise EncryptionError(
                f"no key: {where} is not set{named}; export it for this process, and for every worker of a cluster"
            )
        key = parse_key(text, where)
    if settings.key_id not in (None, key.id):
        raise EncryptionError(
            f"wrong key: {where} holds the key with id {key.id}, this needs the one with id {settings.key_id}"
        )
    return key


@lru_cache(maxsize=4)
def _printed(_process: int, command: tuple[str, ...]) -> Key:
    """The key that a command prints; a process that was forked asks again."""
    where = f"`{command[0]}` (storage.encryption.command)"
    try:
        told = subprocess.run(command, capture_output=True, timeout=COMMAND_SECONDS, check=False, text=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        what = f"took over {COMMAND_SECONDS} s" if isinstance(error, subprocess.TimeoutExpired) else error.strerror
        raise EncryptionError(f"no key: {where}: {what}") from None
    except UnicodeDecodeError:
        raise EncryptionError(f"{where}: what it prints is no text; {_HOW}") from None
    if told.returncode != 0:
        raise EncryptionError(
            f"no key: {where} ended with code {told.returncode}; run it by hand: {shlex.quote(command[0])} ..."
        )
    return parse_key(told.stdout, where)
