"""What the latest attempt of a run has come to, in one small file: ``winnow status`` reads it when all else is gone.

Nothing but that command depends on it. It is written when a stage begins or ends, never for a unit: how many units of
a stage are done is told by their records.
"""

import time
from dataclasses import asdict, dataclass, field
from typing import Literal

import orjson

from winnow.engine.records import Json
from winnow.storage.address import inside
from winnow.storage.store import Store

ATTEMPT = "attempt.json"
LISTED_FAILURES = 100
State = Literal["running", "finished", "failed", "stopped"]


@dataclass
class StageAttempt:
    """One stage of the attempt."""

    name: str
    folder: str
    units: int
    reused: int
    """Units that earlier attempts had committed."""
    state: State = "running"
    failed: list[Json] = field(default_factory=list)
    """Units that failed in this attempt and have not succeeded since: number and message."""
    bytes: int = 0
    """Of work, in the units that this attempt had to run."""
    began: float = 0.0
    """Seconds since 1970; 0 where nothing had to run."""
    seconds: float = 0.0
    """That it took; 0 while it runs."""


@dataclass
class Attempt:
    """The attempt that is going on, or the last one."""

    store: Store
    state: State = "running"
    message: str = ""
    """Why it ended, where it did not finish."""
    stages: list[StageAttempt] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Keys of the units that the stage at work had to run."""
    executor: str = ""
    """Who does the units, and why; empty where none was to be done."""
    sizes: list[int] = field(default_factory=list)
    """Bytes of work of each of them."""
    planned: dict[str, float] = field(default_factory=dict)
    """All stages of the run in order, with how long each takes beside the others."""
    deaths: int = 0
    """Attempts before this one, in a row, that ended without a word: killed, or killed by what they worked on."""

    def begin_stage(self, name: str, folder: str, units: int, missing: list[str], sizes: list[int]) -> None:
        """A stage begins to run its missing units, of so many bytes of work each."""
        begun = StageAttempt(name, folder, units, units - len(missing), bytes=sum(sizes), began=time.time())
        self.stages.append(begun)
        self.missing, self.sizes = missing, sizes
        self.save()

    def end_stage(self, failed: list[Json]) -> None:
        """The stage at work has ended, with or without failures."""
        stage = self.stages[-1]
        stage.failed = failed[:LISTED_FAILURES]
        stage.state = "failed" if failed else "finished"
        stage.seconds = max(0.0, time.time() - stage.began)
        self.missing, self.sizes = [], []
        self.save()

    def reuse_stage(self, name: str, folder: str, units: int) -> None:
        """A stage had nothing to do; told with the next save."""
        self.stages.append(StageAttempt(name, folder, units, units, "finished"))

    def end(self, state: State, message: str = "") -> None:
        """The attempt has ended."""
        self.state, self.message = state, message
        self.save()

    def save(self) -> None:
        """Write the file."""
        content = {
            "state": self.state,
            "message": self.message,
            "stages": [asdict(stage) for stage in self.stages],
            "missing": self.missing,
            "executor": self.executor,
            "sizes": self.sizes,
            "planned": self.planned,
            "deaths": self.deaths,
        }
        self.store.replace(ATTEMPT, orjson.dumps(content, option=orjson.OPT_INDENT_2))


def next_attempt(store: Store) -> Attempt:
    """A new attempt. Only while holding the lease: one that still says ``running`` has died."""
    before = read_attempt(store)
    return Attempt(store, deaths=before.deaths + 1 if before is not None and before.state == "running" else 0)


def read_attempt(store: Store) -> Attempt | None:
    """The latest attempt of a run folder; None where there is none, or it cannot be read."""
    try:
        content = orjson.loads(store.read(ATTEMPT))
        stages = [StageAttempt(**stage) for stage in content["stages"]]
        for stage in stages:
            inside(stage.folder)
        kept = {name: content[name] for name in ("state", "message", "missing", "deaths")}
        told = {
            name: content[name] for name in ("executor", "sizes", "planned") if name in content
        }  # not of earlier versions
        return Attempt(store, stages=stages, **kept, **told)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
