"""What names the language of documents, in the stages that ask: one a process for the same settings."""

from functools import cache, partial

import orjson

from winnow.engine.records import Json
from winnow.operators.files import local_copy
from winnow.storage.store import Store
from winnow.text.language.identifier import Identifier, identifier_of


class RunFolder:
    """A store as an argument of a cached function: equal where the folder is the same."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunFolder) and self.store.root == other.store.root

    def __hash__(self) -> int:
        return hash(self.store.root)


def has_model(described: Json) -> bool:
    """Whether a run folder is needed to load what these settings say."""
    return "model" in described


def languages_of(described: Json, store: Store | None) -> Identifier:
    """What `LanguageConfig.described` says.

    Args:
        described: of the section, as a stage's settings have it.
        store: the run folder, which holds the model; None will do without one.

    Raises:
        ValueError: the model is not what it was. OSError: it cannot be read.
    """
    return _loaded(orjson.dumps(described), RunFolder(store) if store and has_model(described) else None)


@cache
def _loaded(encoded: bytes, folder: RunFolder | None) -> Identifier:
    return identifier_of(orjson.loads(encoded), str if folder is None else partial(local_copy, folder.store))
