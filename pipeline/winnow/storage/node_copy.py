"""A node's own copy of what a config names in an object store: a vocabulary, centres, the folder of a model.

Whoever needs such a thing needs a file. The driver pins an address to what is there when a run begins
(``s3://bucket/vocab.tiktoken#VERSION``), and every node copies that version, once, and no other.
"""

import errno
import hashlib
import re
import shutil
from pathlib import Path

from winnow.errors import NamedObjectError
from winnow.numeric.file_lock import file_lock
from winnow.numeric.own_folder import own_folder
from winnow.storage.address import is_url, last_part
from winnow.storage.config import StorageConfig
from winnow.storage.object_files import ObjectFiles, ObjectState, object_files

_PINNED = re.compile(r"#[0-9a-f]{32}$")
OF_A_FOLDER = (".json", ".safetensors", ".txt", ".model")
"""Files of a folder that are copied: models often lie beside their pickled and converted selves, which nobody reads."""


def pinned(address: str, storage: StorageConfig) -> str:
    """The address with the version of what is there now; a path, or a pinned address, as it is.

    Raises:
        NamedObjectError: nothing is there. ObjectStorageError: the store refuses.
    """
    if not is_url(address) or _PINNED.search(address):
        return address
    return f"{address}#{_version(address, _look(address, storage))}"


def without_pin(address: str) -> str:
    """The address alone."""
    return _PINNED.sub("", address) if is_url(address) else address


def node_copy(address: str, storage: StorageConfig) -> str:
    """The path of this node's copy of a file or folder, with its name; a path as it is.

    Copies stay until somebody removes their folder. Processes agree through a lock: one fetches, the others wait.

    Raises:
        NamedObjectError: nothing is there, or something else than what the address is pinned to.
        ObjectStorageError: the store refuses. OSError: the scratch disk is full.
    """
    if not is_url(address):
        return address
    address = pinned(address, storage)
    copy = _place(address, storage)
    if not copy.exists():
        url, _, version = address.rpartition("#")
        folder = _make_folder(storage)
        with file_lock(folder / f"{version}.lock"):
            if not copy.exists():
                _fetch(url, version, folder, storage)
    return str(copy)


def with_user_addresses(message: object, storage: StorageConfig, *addresses: str | None) -> str:
    """A message about copies, in terms of what the user wrote."""
    text = str(message)
    for address in addresses:
        if address and _PINNED.search(address):
            text = text.replace(str(_place(address, storage)), without_pin(address))
    return text


def _look(url: str, storage: StorageConfig) -> list[ObjectState]:
    """The object of this name, or what lies below it and belongs to a model."""
    files = object_files(url, storage)
    state = None if url.endswith("/") else files.state(url)
    if state is not None:
        return [state]
    found = [state for state in files.below(url) if state.url.endswith(OF_A_FOLDER)]
    for state in found:
        if {"", ".", ".."} & set(_relative(state, url).split("/")):
            raise NamedObjectError(f"{state.url}: cannot be a file of a folder; rename the object")
    if not found:
        raise NamedObjectError(f"{url}: no such object, nor files below it; correct the address or put them there")
    return found


def _relative(state: ObjectState, url: str) -> str:
    return state.url.removeprefix(url.rstrip("/")).removeprefix("/")


def _version(url: str, states: list[ObjectState]) -> str:
    digest = hashlib.blake2b(url.encode(), digest_size=16)
    for state in states:
        digest.update(f"\n{_relative(state, url)}\n{state.bytes}\n{state.etag}".encode())
    return digest.hexdigest()


def _folder(storage: StorageConfig) -> Path:
    return storage.cache_folder.with_name(f"{storage.cache_folder.name}-named")


def _place(address: str, storage: StorageConfig) -> Path:
    """Where the copy of a pinned address lies, if there is one."""
    url, _, version = address.rpartition("#")
    return _folder(storage) / version / last_part(url)


def _make_folder(storage: StorageConfig) -> Path:
    """Where copies lie; this user's alone, since others could put a model there."""
    return own_folder(_folder(storage), "point `storage.scratch` at a folder of your own")


def _fetch(url: str, version: str, folder: Path, storage: StorageConfig) -> None:
    """Copy everything into a draft, look whether it is still the same there, and let the copy appear as a whole."""
    files, states = object_files(url, storage), _look(url, storage)
    draft = folder / f"{version}.draft"
    shutil.rmtree(draft, ignore_errors=True)  # of a process that died: the lock is held
    try:
        if _version(url, states) == version:
            for state in states:
                relative = _relative(state, url)
                _download(files, state, draft / last_part(url) / relative if relative else draft / last_part(url))
        if _version(url, _look(url, storage)) != version:
            raise NamedObjectError(
                f"{url}: is no longer what the run began with (version {version}); run the same command again to go "
                "on with what is there now, or put the earlier content back"
            )
        draft.replace(folder / version)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OSError(
            errno.ENOSPC, f"no space in {folder} for {url}; free some, or set `storage.scratch` to a larger disk"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _download(files: ObjectFiles, state: ObjectState, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    files.download(state.url, str(path))
    if path.stat().st_size != state.bytes:
        raise ConnectionError(f"{state.url}: {path.stat().st_size:,} of {state.bytes:,} bytes came; try again")
