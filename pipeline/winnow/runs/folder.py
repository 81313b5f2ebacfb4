"""A run folder, before anything of the run is read: is it there, and is it one run or many?"""

from pathlib import Path

import orjson

from winnow.engine.records import Json
from winnow.errors import AddressError, ConfigError
from winnow.storage.address import is_url, settled_path
from winnow.storage.open_store import open_store
from winnow.storage.store import Store

STATE = "state.json"
"""Which records belong to the latest run of this folder: where ``why``, ``verify`` and ``status`` begin."""


CORPUS = "corpus.json"


SETS = "sets"


def run_folder(run: str) -> Store:
    """The store of a run folder that is there.

    Raises:
        ConfigError: it is not, the name cannot be used, or it holds many runs (``--new-only``).
    """
    try:
        run = settled_path(run)
        store = open_store(run)
    except AddressError as error:
        raise ConfigError(str(error)) from error
    if not is_url(run) and not Path(run).is_dir():
        raise ConfigError(f"{run}: no such folder; give the `run` folder of a config")
    if not store.exists(STATE) and (sets := shard_sets(store)):
        raise ConfigError(
            f"{run}: a corpus of {len(sets):,} shard sets, each a run folder of its own; name one of them, such as the "
            f"last, {store.location(SETS)}/{sets[-1]['name']}"
        )
    return store


def shard_sets(store: Store) -> list[Json]:
    """The shard sets that are out, oldest first.

    Raises:
        ConfigError: the list is damaged.
    """
    if not store.exists(CORPUS):
        return []
    try:
        sets: list[Json] = orjson.loads(store.read(CORPUS))["sets"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{store.location(CORPUS)}: damaged ({error}); remove it: the next run with --new-only lists all sets again"
        ) from error
    return sets
