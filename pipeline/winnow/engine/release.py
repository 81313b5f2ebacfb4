"""Outputs that were removed because no later stage of the run reads them: their records still count as done.

They are named by folder and output, in one small file. A unit that does need some of them after all (settings have
changed) ends the attempt; they are forgotten then, and the next attempt computes again what is gone.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from winnow.engine.records import Unit
from winnow.errors import WinnowError
from winnow.storage.store import Store

RELEASED = "released.json"


class ReleasedError(WinnowError, RuntimeError):
    """Units need outputs that were removed; the next attempt computes them again."""

    def __init__(self, stage: str, names: Iterable[str]) -> None:
        tables = ", ".join(sorted(name.split("/")[1] for name in names))
        super().__init__(
            f"stage {stage} needs what {tables} wrote, which was removed (compute.keep: needed); run the config again "
            "with compute.keep: all, which computes it anew"
        )
        self.stage = stage


class Released:
    """What was removed from a run folder."""

    def __init__(self, store: Store) -> None:
        self._store = store
        try:
            found = orjson.loads(store.read(RELEASED))
            self._names = {str(name): bool(done) for name, done in found.items()}
        except (FileNotFoundError, ValueError, AttributeError):
            self._names = {}

    def holds(self, path: str) -> bool:
        """Whether a file is one of them."""
        return bool(self._names) and _name_of(path) in self._names

    def add(self, folder: str, output: str) -> None:
        """Remove the files of an output of a stage, whichever of its units wrote them."""
        name = f"{folder}/{output}"
        if self._names.get(name):
            return
        self._save(self._names | {name: False})
        for file in self._store.list(folder):
            path = f"{folder}/{file}"
            if not path.endswith((".json", ".listing")) and _name_of(path) == name:
                self._store.remove(path)
        self._save(self._names | {name: True})

    def check(self, stage: str, units: list[Unit]) -> None:
        """Look whether units can be done.

        Raises:
            ReleasedError: they need outputs that are gone; these are forgotten, and so computed in the next attempt.
        """
        if not self._names:
            return
        needed = {_name_of(path) for unit in units for path in _paths_in(unit.inputs)} & self._names.keys()
        if needed:
            self._save({name: done for name, done in self._names.items() if name not in needed})
            raise ReleasedError(stage, needed)

    def _save(self, names: dict[str, bool]) -> None:
        self._names = names
        self._store.replace(RELEASED, orjson.dumps(names, option=orjson.OPT_SORT_KEYS))


def _name_of(path: str) -> str:
    """Folder and output of a unit's file (``FOLDER/NUMBER-KEY.OUTPUT.SUFFIX``) or a list (``OUTPUT-HASH.listing``)."""
    folder, _, file = path.rpartition("/")
    output = file.rpartition("-")[0] if file.endswith(".listing") else f"{file}..".split(".")[1]
    return f"{folder}/{output}"


def _paths_in(value: Any) -> Iterator[str]:
    """Every `path` at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get("path"), str):
            yield value["path"]
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from _paths_in(item)
