"""A finished run, read back from its folder: what ``why`` and ``verify`` begin with."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq

from pipeline.config import Config, ConfigError, parse_config
from pipeline.engine.records import Json, Record
from pipeline.engine.store import Store
from pipeline.run import STATE
from pipeline.stages.measure import Part, parts_of


@dataclass(frozen=True)
class FinishedRun:
    """Records and settings of the latest finished run of a folder."""

    store: Store
    config: Config
    records: dict[str, list[Record]]
    parts: list[Part]
    layout: Json
    shards: str
    index: Json | None
    """Where the parts of an index that the run was compared with are listed."""

    @property
    def manifest(self) -> Json:
        """The current shard set's manifest."""
        manifest: Json = orjson.loads(self.store.read(f"{self.shards}/manifest.json"))
        return manifest


def load_finished(run: str) -> FinishedRun:
    """Read a run folder.

    Raises:
        ConfigError: the folder is not there, or no run has finished in it.
    """
    store = Store(run)
    if not Path(run).is_dir():
        raise ConfigError(f"{run}: no such folder; give the `run` folder of a config")
    if not store.exists(STATE):
        raise ConfigError(f"{run}: no run has finished here yet; finish it with `winnow run`")
    try:
        state = orjson.loads(store.read(STATE))
        records = {
            stage: [Record.from_json(store.read(path)) for path in paths] for stage, paths in state["records"].items()
        }
    except (ValueError, TypeError, KeyError, FileNotFoundError) as error:
        raise ConfigError(
            f"{run}: {STATE} or a record under work/ is damaged or gone ({error}); run `winnow run` again: it computes "
            "what is missing"
        ) from error
    config = parse_config({**state["config"], "run": run}, f"{run}/{STATE}")
    parts = parts_of(records["measure"])
    return FinishedRun(store, config, records, parts, state["layout"], state["shards"], state.get("index"))


def texts_of(run: FinishedRun, docs: set[int]) -> dict[int, str]:
    """Texts of some documents by number; numbers that the run does not know are left out.

    Reads document numbers of the parts that may hold one, and texts of the row groups that do.
    """
    wanted = np.array(sorted(docs), np.uint64)
    starts = np.array([part.first_doc for part in run.parts], np.uint64)
    texts: dict[int, str] = {}
    for number in np.unique(np.searchsorted(starts, wanted, side="right") - 1).tolist():
        if number < 0:
            continue
        with pq.ParquetFile(run.store.path(run.parts[number].documents["path"])) as file:
            for group in range(file.num_row_groups):
                there = file.read_row_group(group, columns=["doc"], use_threads=False).column("doc").to_numpy()
                rows = np.flatnonzero(np.isin(there, wanted))
                if len(rows):
                    table = file.read_row_group(group, columns=["text"], use_threads=False).take(rows)
                    texts |= dict(zip(there[rows].tolist(), table.column("text").to_pylist(), strict=True))
    return texts
