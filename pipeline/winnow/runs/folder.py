"""A run folder, before anything of the run is read: is it there, and is it one run or many?"""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from winnow.engine.attempt import ATTEMPT
from winnow.engine.lease import LEASE
from winnow.engine.records import Json
from winnow.errors import AddressError, ConfigError
from winnow.report.printable import printable
from winnow.shards.dataset.several_sets import CORPUS
from winnow.storage.address import check_lasting, is_url, last_part, settled_path
from winnow.storage.open_store import open_store
from winnow.storage.store import Store

if TYPE_CHECKING:  # `winnow status` does without
    from winnow.config.config import Config

STATE = "state.json"
"""Which records belong to the latest run of this folder: where ``why``, ``verify`` and ``status`` begin."""


OBSERVED = "observed.json"
"""What the latest attempt took, and its alarms."""
INDEX = "index.json"
"""Of the folder of an index, which is no run folder."""
SETS = "sets"
CONFIG = "config.yaml"
log = logging.getLogger("winnow")


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
    if store.exists(INDEX) and not store.exists(STATE) and not store.exists(CONFIG):
        raise ConfigError(f"{run}: an index that runs share, and no run; `winnow index ls {run}` names its runs")
    return store


def run_folders(run: str) -> list[str]:
    """The run folder itself; of a corpus that grows those of all its sets, the latest first.

    Raises:
        ConfigError: the list of a corpus is damaged, or the name cannot be used.
    """
    try:
        run = settled_path(run)
        store = open_store(run)
    except AddressError as error:
        raise ConfigError(str(error)) from error
    if (not is_url(run) and not Path(run).is_dir()) or store.exists(STATE):
        return [run]
    return [store.location(f"{SETS}/{entry['name']}") for entry in reversed(shard_sets(store))] or [run]


def latest_run(run: str) -> str:
    """The run folder itself; of a corpus that grows the one of its latest set, and that is told.

    Raises:
        ConfigError: the list of a corpus is damaged, or the name cannot be used.
    """
    latest, *others = run_folders(run)
    if others or latest != run:
        log.warning("%s: a corpus of %d shard sets; what follows is of the latest, %s", run, len(others) + 1, latest)
    return latest


def check_folder(config: "Config", store: Store) -> None:
    """Look whether the `run` folder of a config is one for an ordinary run, before anything is written there.

    Raises:
        ConfigError: it is the folder of a corpus that grows, or what is written would not stay.
    """
    from winnow.sources.catalogue import CATALOGUE  # noqa: PLC0415 - `winnow status` does without

    own = {ATTEMPT, CATALOGUE, CONFIG, STATE}  # each run folder has at least one, however far the run came
    check_places(config.written_folders)
    found = {*store.list(""), *store.folders("")}
    begun = SETS in found and any(store.exists(f"{SETS}/{name}/{CONFIG}") for name in store.folders(SETS))
    if CORPUS in found or (begun and not found & own):
        raise ConfigError(
            f"run: {config.run}: the folder of a corpus that grows; add what is new to it with `winnow run CONFIG "
            "--new-only`, or give an ordinary run a folder of its own, such as with --set run=PATH"
        )
    index = config.dedup and config.dedup.index
    foreign = found - {LEASE} - ({last_part(index)} if index else set())
    if foreign and not found & own:
        names = ", ".join(sorted(foreign)[:3]) + (" and others" if len(foreign) > 3 else "")
        log.warning(
            "run: %s: holds %d files and folders that are no run's (%s); a run writes beside them, and reads as a run "
            "folder from then on: if that is not meant, stop it and point `run` to a folder of its own",
            config.run,
            len(foreign),
            printable(names, lines=False),
        )


def check_places(paths: Iterable[str]) -> None:
    """Look whether folders that will be written stay.

    Raises:
        ConfigError: one lies in a temporary folder of Ray.
    """
    for path in paths:
        try:
            check_lasting(path)
        except AddressError as error:
            raise ConfigError(str(error)) from error


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
