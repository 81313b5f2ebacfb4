"""What the latest attempt of a run has come to, in one small file: ``winnow status`` reads it when all else is gone.

Nothing but that command depends on it. It is written when a stage begins or ends, never for a unit: how many units of
a stage are done is told by their records.
"""

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
    deaths: int = 0
    """Attempts before this one, in a row, that ended without a word: killed, or killed by what they worked on."""

    def begin_stage(self, name: str, folder: str, units: int, missing: list[str]) -> None:
        """A stage begins to run its missing units."""
        self.stages.append(StageAttempt(name, folder, units, units - len(missing)))
        self.missing = missing
        self.save()

    def end_stage(self, failed: list[Json]) -> None:
        """The stage at work has ended, with or without failures."""
        stage = self.stages[-1]
        stage.failed = failed[:LISTED_FAILURES]
        stage.state = "failed" if failed else "finished"
        self.missing = []
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
        told = content["state"], content["message"], stages, content["missing"], content.get("executor", "")
        return Attempt(store, *told, content["deaths"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
