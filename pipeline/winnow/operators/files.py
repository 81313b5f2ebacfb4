"""Files that operators come from and that their settings name: known by content, put once into the run folder.

The rule: a string setting is the path of a file or folder where it has a ``.`` or a ``/`` and a letter or digit in it,
and something of that name is there, beside the config or by an absolute path; an address of an object store always is
one. Its content stands in the fingerprint, not its name.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from winnow.storage.address import is_url
from winnow.storage.config import StorageConfig
from winnow.storage.draft import PIECE_BYTES
from winnow.storage.node_copy import node_copy
from winnow.storage.store import Store

FOLDER = "operators"
"""In a run folder: files of operators, ``operators/HASH/NAME``."""


@dataclass(frozen=True)
class NamedFile:
    """A file that goes into the run folder."""

    path: str
    """In the run folder."""
    content: bytes | Path
    """Its bytes, or where it lies on this machine."""


def is_path(value: object) -> bool:
    """Whether a setting may name a file or folder."""
    if not isinstance(value, str) or "\n" in value:
        return False
    return ("." in value or "/" in value) and any(map(str.isalnum, value))


def existing(value: object) -> Path | None:
    """The file or folder of this machine that a setting names; None where it names none."""
    if not isinstance(value, str) or is_url(value) or not is_path(value):
        return None
    try:
        path = Path(value)
        return path if path.exists() else None
    except (OSError, ValueError):  # too long for a name, or with a NUL: a text
        return None


def hash_of_bytes(content: bytes) -> str:
    """Hex hash that names a file."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def hash_of_file(path: Path) -> str:
    """The same of a file of any size."""
    digest = hashlib.blake2b(digest_size=16)
    for piece in _pieces(path):
        digest.update(piece)
    return digest.hexdigest()


def hash_of_folder(path: Path) -> str:
    """Hash of the names and contents of all files below a folder."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(entry for entry in path.rglob("*") if entry.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\n{hash_of_file(file)}\n".encode())
    return digest.hexdigest()


def published_path(digest: str, name: str) -> str:
    """Where a file of this content lies in a run folder."""
    return f"{FOLDER}/{digest}/{name}"


def publish(store: Store, files: list[NamedFile]) -> None:
    """Put files into the run folder, where they are not there yet; each appears whole.

    Raises:
        StorageError: it cannot be written.
    """
    for file in files:
        if store.exists(file.path):
            continue
        with store.create(file.path) as draft:
            for piece in [file.content] if isinstance(file.content, bytes) else _pieces(file.content):
                draft.write(piece)


def local_copy(store: Store, path: str) -> str:
    """A published file as a file of this node, with its own name."""
    location = store.location(path)
    return node_copy(location, store.storage) if is_url(location) else location


def fetched(address: str, storage: StorageConfig) -> Path:
    """This node's copy of what lies at an address; a path as it is.

    Raises:
        NamedObjectError: nothing is there. ObjectStorageError: the store refuses.
    """
    return Path(node_copy(address, storage))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
