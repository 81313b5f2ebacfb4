"""The list of input files, each with a number that is never used for another file.

``doc`` identities hold the file number, so it must not depend on the machine or on the order of arrival: new files
get numbers in order of (source, path), after all numbers ever given in this run folder. A file whose size or time
changed is another file: it gets a new number, and the old number is retired.
"""

import os
from dataclasses import asdict, dataclass
from glob import glob, has_magic
from pathlib import Path

import orjson

from pipeline.engine.store import Store

CATALOGUE = "catalogue.json"
MAX_FILES = 1 << 31
"""Numbers beyond it, in a document's identity, stand for parts of an index."""


class InputError(ValueError):
    """The inputs that the config names are not there or cannot be used."""


@dataclass(frozen=True)
class InputFile:
    """One catalogued input file."""

    number: int
    source: str
    path: str
    bytes: int
    modified_ns: int

    @property
    def identity(self) -> tuple[str, str, int, int]:
        """What makes it the same file as before."""
        return (self.source, self.path, self.bytes, self.modified_ns)


def list_paths(pattern: str) -> list[str]:
    """Files that one ``path`` entry of a source names: a file, a folder (searched through), or a glob (``**`` too).

    Names that begin with a dot are passed over in folders and globs, as shells do.

    Raises:
        InputError: nothing is there.
    """
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


def _hide(folders: list[str]) -> bool:
    """Drop hidden folders from a walk, in place; always False, so that it can stand in a condition."""
    folders[:] = [folder for folder in folders if not folder.startswith(".")]
    return False


def list_inputs(patterns: dict[str, list[str]]) -> dict[str, list[str]]:
    """Files of every source, sorted, from its path entries.

    Raises:
        InputError: a path names nothing, or one file belongs to two sources.
    """
    owner: dict[str, str] = {}
    seen: set[str] = set()
    listed: dict[str, list[str]] = {}
    for source, entries in patterns.items():
        listed[source] = []
        for path in sorted({path for entry in entries for path in list_paths(entry)}):
            real = os.path.realpath(path)  # one file may be spelled in several ways, or linked
            if owner.setdefault(real, source) != source:
                raise InputError(
                    f"{path} belongs to two sources, {owner[real]!r} and {source!r}; "
                    "its documents would count twice: give it to one"
                )
            if real not in seen:
                seen.add(real)
                listed[source].append(path)
    return listed


def build_catalogue(store: Store, inputs: dict[str, list[str]], *, save: bool) -> list[InputFile]:
    """The files of this run in order of their numbers.

    Args:
        store: the run folder, which keeps the numbers of earlier runs.
        inputs: for every source, in config order, its files.
        save: False looks only (``winnow plan``).

    Raises:
        InputError: a file went away, or there are too many.
    """
    known: list[InputFile] = []
    if store.exists(CATALOGUE):
        known = [InputFile(**entry) for entry in orjson.loads(store.read(CATALOGUE))["files"]]
    by_identity = {file.identity: file for file in known}
    next_number = 1 + max((file.number for file in known), default=-1)

    current: list[InputFile] = []
    for source, paths in inputs.items():
        for path in paths:
            try:
                status = Path(path).stat()
            except OSError as error:
                raise InputError(f"{path}: listed a moment ago, now: {error.strerror}") from error
            file = by_identity.get((source, path, status.st_size, status.st_mtime_ns))
            if file is None:
                file = InputFile(next_number, source, path, status.st_size, status.st_mtime_ns)
                next_number += 1
                known.append(file)
            current.append(file)
    if next_number > MAX_FILES:
        raise InputError(f"{next_number:,} files are more than a run can number ({MAX_FILES:,}); join small files")
    if save:
        listing = {"files": [asdict(file) for file in sorted(known, key=_number)]}
        store.replace(CATALOGUE, orjson.dumps(listing, option=orjson.OPT_INDENT_2))
    return sorted(current, key=_number)


def _number(file: InputFile) -> int:
    return file.number
