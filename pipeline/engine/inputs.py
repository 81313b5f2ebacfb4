"""Input files, wherever the config says they are: their names, and what tells whether one has changed."""

import os
from collections.abc import Iterable
from glob import glob, has_magic
from pathlib import Path
from typing import NamedTuple

from pipeline.objects.address import AddressError, is_url
from pipeline.objects.config import StorageConfig


class InputError(ValueError):
    """The inputs that the config names are not there or cannot be used."""


class InputState(NamedTuple):
    """What tells a file from another one of the same name: size, and time of change or (of objects) the etag."""

    bytes: int
    modified_ns: int
    etag: str = ""

    @property
    def version(self) -> int | str:
        """Time of change or etag."""
        return self.etag or self.modified_ns


_listed: dict[str, InputState] = {}
"""Objects as the last listing of theirs told them: a store that lists ten thousand need not be asked for each."""


def list_paths(pattern: str, storage: StorageConfig | None = None) -> list[str]:
    """Files that one ``path`` entry of a source names: a file, a folder (searched through), or a glob (``**`` too).

    Names that begin with a dot are passed over in folders and globs, as shells do.

    Raises:
        InputError: nothing is there.
    """
    if is_url(pattern):
        return _list_objects(pattern, storage or StorageConfig())
    root = Path(pattern)
    if root.is_file():
        return [pattern]
    if root.is_dir():
        found = [
            str(Path(folder) / name)
            for folder, folders, names in os.walk(root)
            for name in names
            if not name.startswith(".") and not _hide(folders)
        ]
        if not found:
            raise InputError(f"{pattern}: the folder holds no files; put the input there or correct `path`")
        return sorted(found)
    if has_magic(pattern):
        found = [path for path in glob(pattern, recursive=True) if Path(path).is_file()]  # noqa: PTH207 - keeps "a//b" as the user wrote it
        if not found:
            raise InputError(f"{pattern}: no file matches; check the pattern (`**` goes through folders)")
        return sorted(found)
    raise InputError(f"{pattern}: no such file or folder; correct `path` or create it")


def _list_objects(pattern: str, storage: StorageConfig) -> list[str]:
    from pipeline.objects.files import object_files  # noqa: PLC0415 - only object stores need it
    from pipeline.objects.listing import find_objects  # noqa: PLC0415

    try:
        found = find_objects(object_files(pattern, storage), pattern)
    except AddressError as error:
        raise InputError(str(error)) from error
    if not found:
        what = (
            "no object matches; check the pattern (`**` goes through folders)"
            if has_magic(pattern)
            else "no such object"
        )
        raise InputError(f"{pattern}: {what}, nor anything below it; correct `path` or put the input there")
    _listed.update({state.url: InputState(state.bytes, 0, state.etag) for state in found})
    return [state.url for state in found]


def look_at(path: str, storage: StorageConfig | None = None) -> InputState:
    """Size and version of a file; of an object, what its last listing in this process told.

    Raises:
        OSError: it is not there, or cannot be looked at.
    """
    if not is_url(path):
        status = Path(path).stat()
        return InputState(status.st_size, status.st_mtime_ns)
    if path not in _listed:
        from pipeline.objects.files import object_files  # noqa: PLC0415

        state = object_files(path, storage or StorageConfig()).state(path)
        if state is None:
            raise FileNotFoundError(2, "no such object", path)
        _listed[path] = InputState(state.bytes, 0, state.etag)
    return _listed[path]


def check_unchanged(read: Iterable[tuple[str, str]], storage: StorageConfig) -> None:
    """Look whether objects are still the ones that were catalogued, after they have been read.

    Args:
        read: URL and etag of the catalogue. One that has gone since is not missed: it has been read.
        storage: how they are reached.

    Raises:
        InputError: one was written anew, so that what was read may be of either, or a mixture.
    """
    from pipeline.objects.files import object_files  # noqa: PLC0415

    expected = dict(read)
    for path, state in zip(expected, object_files(next(iter(expected)), storage).states(list(expected)), strict=True):
        if state is not None and state.etag != expected[path]:
            raise InputError(
                f"{path}: written anew since this run catalogued it (etag {expected[path]} then, {state.etag} now); "
                "run the same command again, which takes it as a new file, and leave inputs alone while a run reads"
            )


def _hide(folders: list[str]) -> bool:
    """Drop hidden folders from a walk, in place; always False, so that it can stand in a condition."""
    folders[:] = [folder for folder in folders if not folder.startswith(".")]
    return False
