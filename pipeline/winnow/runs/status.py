"""How far a run is, from its folder alone: no cluster, no inputs, no lease is needed. Touches nothing."""

import time
from contextlib import suppress
from dataclasses import dataclass, field

import orjson

from winnow.engine.attempt import State, read_attempt
from winnow.engine.lease import LEASE, holder_of
from winnow.engine.records import Json
from winnow.errors import StorageError
from winnow.runs.folder import OBSERVED, STATE, run_folder
from winnow.shards.manifest import read_manifest
from winnow.storage.address import inside
from winnow.storage.store import Store

SUMMARY = "reports/summary.txt"
"""The report of that name; its module knows every stage, and `status` is to be quick."""


@dataclass(frozen=True)
class StageStatus:
    """One stage of the latest attempt."""

    name: str
    state: State
    units: int
    done: int
    reused: int
    failed: list[Json]
    """Units that failed in that attempt: number and message."""


@dataclass(frozen=True)
class Holder:
    """Who holds the folder."""

    host: str
    process: int
    age_seconds: float
    """Since the lease was renewed; it is renewed every 10 s."""
    abandoned: bool


@dataclass(frozen=True)
class Status:
    """What a run folder tells."""

    run: str
    state: str
    """``running``, ``finished``, ``failed``, ``stopped``, ``died`` (nobody works here, nobody said why), ``new``."""
    message: str
    holder: Holder | None
    stages: list[StageStatus] = field(default_factory=list)
    shards: Json | None = None
    """The current shard set: folder, books, and documents, tokens and shards of each split."""
    warnings: list[str] = field(default_factory=list)
    """Warnings and alarms of the summary of the latest run that finished here."""
    alarms: list[Json] = field(default_factory=list)
    """Its alarms alone: kind, about, what, do."""
    damage: str = ""
    """Why nothing can be told of the current shard set although a run has finished here."""


def status_of(run: str) -> Status:
    """Read a run folder.

    Raises:
        ConfigError: there is no such folder.
    """
    store = run_folder(run)
    attempt = read_attempt(store)
    holder = _holder(store)
    state = "new" if attempt is None else str(attempt.state)
    if state == "running" and (holder is None or holder.abandoned):
        state = "died"
    stages = []
    for number, stage in enumerate(attempt.stages if attempt else []):
        done = stage.units if stage.state == "finished" else stage.units - len(stage.failed)
        if attempt and stage.state == "running" and number == len(attempt.stages) - 1:
            there = set(store.list(stage.folder, ".json"))
            done = stage.units - sum(f"{key}.json" not in there for key in attempt.missing)
        stages.append(StageStatus(stage.name, stage.state, stage.units, done, stage.reused, stage.failed))
    shards, damage = _shards(store)
    message = attempt.message if attempt else ""
    return Status(store.root, state, message, holder, stages, shards, *(_told(store) if shards else ([], [])), damage)


def _holder(store: Store) -> Holder | None:
    held = holder_of(store)
    if held is None:
        return None
    try:
        age = time.time() - store.modified(LEASE)
    except OSError:
        return None  # released between the two looks
    return Holder(str(held.get("host")), int(held.get("pid") or 0), max(0.0, age), bool(held["abandoned"]))


def _told(store: Store) -> tuple[list[str], list[Json]]:
    """Warnings and alarms as the summary has them, and the alarms by kind; none where they are gone or damaged."""
    lines: list[str] = []
    alarms: list[Json] = []
    with suppress(FileNotFoundError, UnicodeDecodeError):
        lines = store.read(SUMMARY).decode().splitlines()
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        alarms = list(orjson.loads(store.read(OBSERVED))["alarms"])
    return [line for line in lines if line.startswith(("WARNING: ", "ALARM: "))], alarms


def _shards(store: Store) -> tuple[Json | None, str]:
    """What is to be told of the current shard set, and what is wrong with it."""
    try:
        folder = inside(orjson.loads(store.read(STATE))["shards"])
        manifest = read_manifest(store, folder)
        splits = {
            name: {**{key: split[key] for key in ("documents", "tokens", "rows")}, "shards": len(split["shards"])}
            for name, split in manifest["shards"]["splits"].items()
        }
    except FileNotFoundError:
        return None, ""
    except StorageError as error:
        return None, str(error)
    except (ValueError, KeyError, TypeError) as error:
        return None, f"{STATE}: damaged ({error}); run `winnow run` again, it computes what is missing"
    return {"folder": folder, "books": manifest["books"], "splits": splits}, ""
