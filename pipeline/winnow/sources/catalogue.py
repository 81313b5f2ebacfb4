"""The list of input files, each with a number that is never used for another file.

``doc`` identities hold the file number, so it must not depend on the machine or on the order of arrival: new files
get numbers in order of (source, path), after all numbers ever given in this run folder. A file whose size or time
changed is another file: it gets a new number, and the old number is retired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import orjson

from winnow.errors import InputError
from winnow.sources.identity import lasting_name, real_input
from winnow.sources.inputs import InputState, look_at
from winnow.sources.wanted import Json, Wanted, assumed_bytes, wanted_files
from winnow.storage.config import StorageConfig
from winnow.storage.store import Store

CATALOGUE = "catalogue.json"
MAX_FILES = 1 << 31
"""Numbers beyond it, in a document's identity, stand for parts of an index."""


@dataclass(frozen=True)
class InputFile:
    """One catalogued input file."""

    number: int
    source: str
    path: str
    bytes: int
    modified_ns: int
    etag: str = ""
    """Of an object, in place of a time."""
    ranges: str = ""
    """Where its records lie that a list names; "" for all of it."""
    assumed_bytes: int = 0
    """Of a file that a list names: how large it is taken to be until it is read. Only plans rely on it."""

    @property
    def state(self) -> InputState:
        """What tells it from another file of the same name."""
        return InputState(self.bytes, self.modified_ns, self.etag, self.ranges)

    @property
    def probable_bytes(self) -> int:
        """Its size, or what is taken for it."""
        return self.bytes or self.assumed_bytes

    @property
    def identity(self) -> tuple[str, str, InputState]:
        """What makes it the same file as before."""
        return (self.source, self.path, self.state)


class Inputs(dict[str, list[str]]):
    """Files of every source, and what is to be told of how they were found."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, Json] = {}
        """By source, of those with lists or of which a part is taken: ``files``, ``taken``, ``lists``."""


def list_inputs(
    patterns: Mapping[str, Sequence[str] | Wanted], storage: StorageConfig | None = None, left_out: Sequence[str] = ()
) -> Inputs:
    """Files of every source, sorted, from its path entries.

    Args:
        patterns: the entries of every source, or what is wanted of it.
        storage: how object stores are reached.
        left_out: folders that runs write, of which nothing is input unless an entry begins in them.

    Raises:
        InputError: a path names nothing, or one file belongs to two sources.
    """
    owner: dict[str, str] = {}
    seen: set[str] = set()
    listed = Inputs()
    for source, entries in patterns.items():
        listed[source] = []
        wanted = entries if isinstance(entries, Wanted) else Wanted(tuple(entries))
        paths, told = wanted_files(wanted, storage or StorageConfig(), left_out)
        if told:
            listed.told[source] = told
        for path in sorted(paths):
            file = real_input(path)  # one file may be spelled in several ways, or linked
            if owner.setdefault(file, source) != source:
                raise InputError(
                    f"{path} belongs to two sources, {owner[file]!r} and {source!r}; "
                    "its documents would count twice: give it to one"
                )
            if file not in seen:
                seen.add(file)
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
    next_number = 1 + max((file.number for file in known), default=-1)
    found = [(source, path, _state(path, store)) for source, paths in inputs.items() for path in paths]
    earlier = _Earlier(known, set(found))

    current: list[InputFile] = []
    for source, path, state in found:
        file = earlier.take(source, path, state)
        if file is None:
            assumed = assumed_bytes(path) if state.is_unasked and not state.bytes else 0
            file = InputFile(next_number, source, path, *state, assumed)
            next_number += 1
            known.append(file)
        current.append(file)
    if next_number > MAX_FILES:
        raise InputError(f"{next_number:,} files are more than a run can number ({MAX_FILES:,}); join small files")
    if save:
        listing = {"files": [asdict(file) for file in sorted(known, key=_number)]}
        store.replace(CATALOGUE, orjson.dumps(listing, option=orjson.OPT_INDENT_2))
    return sorted(current, key=_number)


def _state(path: str, store: Store) -> InputState:
    try:
        return look_at(path, store.storage)
    except OSError as error:
        raise InputError(f"{path}: listed a moment ago, now: {error.strerror}") from error


class _Earlier:
    """Files that have a number: under their own path, or, on a hub, unchanged in another commit."""

    def __init__(self, known: list[InputFile], found: set[tuple[str, str, InputState]]) -> None:
        self._same = {file.identity: file for file in known}
        moved = [file for file in known if file.identity not in found and lasting_name(file.path) != file.path]
        self._moved = {(file.source, lasting_name(file.path), file.state): file for file in moved if file.etag}

    def take(self, source: str, path: str, state: InputState) -> InputFile | None:
        """The file, with the path at which its number was given; each once."""
        same = self._same.get((source, path, state))
        return same or self._moved.pop((source, lasting_name(path), state), None)


def _number(file: InputFile) -> int:
    return file.number
