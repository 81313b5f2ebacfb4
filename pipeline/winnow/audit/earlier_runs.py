"""The earlier runs of an index that a run was compared with, as far as their folders are still there."""

from typing import NamedTuple

import orjson

from winnow.engine.records import Json
from winnow.errors import ConfigError
from winnow.flow.records import RunRecords
from winnow.index.folder import PIN
from winnow.runs.state import load_run
from winnow.storage.address import absolute, last_part
from winnow.storage.open_store import open_store
from winnow.storage.store import Store


class EarlierRuns(NamedTuple):
    """Earlier runs, oldest first."""

    found: tuple[RunRecords, ...]
    missing: tuple[str, ...]
    """Run folders, as they were called then, that are gone or hold another run now."""


def earlier_runs(run: RunRecords) -> EarlierRuns:
    """The runs whose documents the index had when ``run`` was compared with it.

    Looked for beside the folder of ``run`` first, as a corpus may be copied or moved as a whole, then where it was.
    """
    segments = {int(entry["segment"]): str(entry["run"]) for entry in run.index_parts.values()}
    index = (_pin(run.store) or {}).get("index")
    found, missing = [], []
    for segment, folder in sorted(segments.items()):
        places = (f"{absolute(run.store.root).rpartition('/')[0]}/{last_part(folder)}", folder)
        there = next((place for place in places if _is_segment(place, segment, index)), None)
        if there is None:
            missing.append(folder)
            continue
        try:
            found.append(load_run(there))
        except ConfigError:  # begun anew since
            missing.append(folder)
    return EarlierRuns(tuple(found), tuple(missing))


def _is_segment(folder: str, segment: int, index: str | None) -> bool:
    pin = _pin(open_store(folder))
    return pin is not None and (pin.get("segment"), pin.get("index")) == (segment, index)


def _pin(store: Store) -> Json | None:
    try:
        pin: Json | None = orjson.loads(store.read(PIN))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return pin if isinstance(pin, dict) else None
