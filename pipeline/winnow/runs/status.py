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
    seconds: float = 0.0
    """Since it began to run units, or that it took; 0 where there was nothing to run."""
    mb_per_second: float | None = None
    """Of its input; None where nothing of it is done yet."""
    seconds_left: float | None = None
    """Of the stage at work, at this speed; None where nobody can tell."""


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
    executor: str = ""
    """Who does the units of the latest attempt, and why; empty where none was to be done."""
    alarms: list[Json] = field(default_factory=list)
    """Its alarms alone: kind, about, what, do."""
    seconds_left: float | None = None
    """Of the whole run while it runs, from the time that the same share of other runs took; None where nobody can tell.
    Stages of which earlier attempts have done a part may take less."""
    ahead: list[str] = field(default_factory=list)
    """Stages that have not begun."""
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
    stages, fractions = [], []
    for number, stage in enumerate(attempt.stages if attempt else []):
        done = stage.units if stage.state == "finished" else stage.units - len(stage.failed)
        done_bytes, seconds = stage.bytes, stage.seconds
        if attempt and stage.state == "running" and number == len(attempt.stages) - 1:
            there = set(store.list(stage.folder, ".json"))
            missing = [f"{key}.json" not in there for key in attempt.missing]
            done = stage.units - sum(missing)
            done_bytes -= sum(size for size, is_missing in zip(attempt.sizes, missing, strict=False) if is_missing)
            seconds = max(0.0, time.time() - stage.began) if stage.began and state == "running" else 0.0
        speed = done_bytes / seconds if seconds and done_bytes else None
        left = None if speed is None or stage.state != "running" else (stage.bytes - done_bytes) / speed
        fractions.append(done_bytes / stage.bytes if stage.bytes else float(stage.state == "finished"))
        rate = None if speed is None else speed / 1e6
        told = (stage.name, stage.state, stage.units, done, stage.reused, stage.failed, seconds, rate, left)
        stages.append(StageStatus(*told))
    ahead = [name for name in attempt.planned if name not in {stage.name for stage in stages}] if attempt else []
    left_of_all = _seconds_left(stages, fractions, attempt.planned, ahead) if attempt and state == "running" else None
    shards, damage = _shards(store)
    message = attempt.message if attempt else ""
    warnings, alarms = _told(store) if shards else ([], [])
    executor = attempt.executor if attempt else ""
    return Status(
        store.root, state, message, holder, stages, shards, warnings, executor, alarms, left_of_all,
        ahead if state == "running" else [], damage,
    )  # fmt: skip


def _seconds_left(
    stages: list[StageStatus], fractions: list[float], planned: dict[str, float], ahead: list[str]
) -> float | None:
    """Of all stages: the one at work at its own speed, those ahead by the time that those before took.

    Args:
        stages: that have begun.
        fractions: how much of the work of each is done.
        planned: how long each stage takes beside the others.
        ahead: stages that have not begun.
    """
    ran = [(stage, done) for stage, done in zip(stages, fractions, strict=True) if stage.units > stage.reused]
    weight = sum(planned.get(s.name, 0.0) * done * (s.units - s.reused) / s.units for s, done in ran)
    seconds = sum(stage.seconds for stage, _ in ran)
    current = sum(stage.seconds_left or 0.0 for stage, _ in ran)
    if weight <= 0 or seconds <= 0 or any(s.state == "running" and s.seconds_left is None for s, _ in ran):
        return None
    return current + seconds / weight * sum(planned[name] for name in ahead)


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
