"""A finished run, read back from its folder: what ``why`` and ``verify`` begin with."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow.config.config import Config, parse_config
from winnow.engine.records import Json, Record
from winnow.errors import AddressError, ConfigError, StorageError
from winnow.runs.corpus import SETS, shard_sets
from winnow.runs.run import STATE
from winnow.stages.ingest.measure import Part, parts_of
from winnow.stages.shards.shard_set import parse_manifest
from winnow.stages.tables import read_listing
from winnow.storage.address import is_url
from winnow.storage.open_store import open_store
from winnow.storage.store import Store


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
    def ledger(self) -> list[Record]:
        """Records of the tables that hold every document's final outcome, part by part."""
        if "mixture" in self.records:
            return self.records["mixture"]
        return self.records["select"] if self.config.select is not None else self.records["decide"]

    @property
    def manifest(self) -> Json:
        """The current shard set's manifest; StorageError if it is missing or damaged."""
        return read_manifest(self.store, self.shards)

    @cached_property
    def index_parts(self) -> dict[int, Json]:
        """Parts of an index that the run was compared with, by number; their files may be gone since."""
        entries = read_listing(self.store, self.index) if self.index else []
        return {entry["part"]: entry for entry in entries}


def read_manifest(store: Store, folder: str) -> Json:
    """The manifest of a run's own shard set.

    Raises:
        StorageError: it is missing or damaged.
    """
    path = f"{folder}/manifest.json"
    try:
        return parse_manifest(store.read(path))
    except FileNotFoundError as error:
        raise StorageError(f"{path}: missing; run `winnow run` again, it writes it anew") from error
    except ValueError as error:
        raise StorageError(f"{path}: damaged ({error}); run `winnow run` again, it writes it anew") from error


def run_folder(run: str) -> Store:
    """The store of a run folder that is there.

    Raises:
        ConfigError: it is not, the name cannot be used, or it holds many runs (``--new-only``).
    """
    try:
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


def _read_records(store: Store, paths: list[str]) -> list[Record]:
    records = []
    for path, data in zip(paths, store.read_all(paths), strict=True):
        if data is None:
            raise FileNotFoundError(f"{path} is gone")
        records.append(Record.from_json(data))
    return records


def load_finished(run: str) -> FinishedRun:
    """Read a run folder.

    Raises:
        ConfigError: the folder is not there, or no run has finished in it.
    """
    store = run_folder(run)
    if not store.exists(STATE):
        raise ConfigError(f"{run}: no run has finished here yet; finish it with `winnow run`")
    try:
        state = orjson.loads(store.read(STATE))
        records = {stage: _read_records(store, paths) for stage, paths in state["records"].items()}
    except (ValueError, TypeError, KeyError, FileNotFoundError) as error:
        raise ConfigError(
            f"{run}: {STATE} or a record under work/ is damaged or gone ({error}); run `winnow run` again: it computes "
            "what is missing"
        ) from error
    config = parse_config({**state["config"], "run": run}, f"{run}/{STATE}")
    parts = parts_of(records["measure"])
    return FinishedRun(store, config, records, parts, state["layout"], state["shards"], state.get("index"))


def parts_holding(run: FinishedRun, docs: NDArray[np.uint64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Numbers of the parts that may hold some of ``docs``, and which of them."""
    starts = np.array([part.first_doc for part in run.parts], np.uint64)
    part = np.searchsorted(starts, docs, side="right") - 1
    for number in np.unique(part[part >= 0]).tolist():
        yield number, np.flatnonzero(part == number)


def read_texts(
    run: FinishedRun, number: int, docs: NDArray[np.uint64]
) -> Iterator[tuple[NDArray[np.uint64], pa.Array]]:
    """Texts of some documents of a part, row group by row group: docs uint64[D'], texts large_string[D'].

    Row groups without such a document are not read.
    """
    with pq.ParquetFile(
        run.store.columns_of(run.parts[number].documents["path"]), pre_buffer=run.store.is_remote
    ) as file:
        for group in range(file.num_row_groups):
            there = file.read_row_group(group, columns=["doc"], use_threads=False).column("doc").to_numpy()
            mine = np.isin(there, docs, assume_unique=True)
            if mine.any():
                column = file.read_row_group(group, columns=["text"], use_threads=False).column("text")
                texts = column.combine_chunks()
                yield there[mine], texts if mine.all() else texts.filter(pa.array(mine))


def texts_of(run: FinishedRun, docs: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.uint64], pa.Array]]:
    """Texts of documents uint64[D] (rising), as :func:`read_texts` gives them, over all parts."""
    for number, places in parts_holding(run, docs):
        yield from read_texts(run, number, docs[places])


def text_by_document(run: FinishedRun, docs: set[int]) -> dict[int, str]:
    """Texts of some documents by number; numbers that the run does not know are left out."""
    found: dict[int, str] = {}
    for there, texts in texts_of(run, np.array(sorted(docs), np.uint64)):
        found |= dict(zip(there.tolist(), texts.to_pylist(), strict=True))
    return found
