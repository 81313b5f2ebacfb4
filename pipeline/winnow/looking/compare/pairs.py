"""Documents of two runs, joined by source and id in bounded memory.

Each run's documents are written as fixed-width rows, by the upper bits of a 128-bit hash of source and id, into files
of a temporary folder (TMPDIR; 45 bytes a document); then one partition after the other is sorted and merged. Where
several documents of a source have one id, the first of one run goes with the first of the other, and so on. Different
ids with equal hashes are not to be expected: the chance is 10^-18 at ten billion documents.

Legend: N documents of a part, M of a partition, P pairs.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow import schemas
from winnow.dedup.exact import text_hashes
from winnow.flow.records import RunRecords
from winnow.looking.unreadable import unreadable_records
from winnow.stages.tables import column_to_numpy, read_parquet

ROW = np.dtype(
    [
        ("high", "u8"),
        ("low", "u8"),
        ("doc", "u8"),
        ("outcome", "u1"),  # position in schemas.OUTCOMES
        ("rule", "u4"),  # these: number in Names
        ("split", "u4"),
        ("source", "u4"),
        ("language", "u4"),
        ("copies", "u2"),
        ("characters", "u4"),
    ]
)
"""One row a document of a run."""
Rows = NDArray[np.void]
PARTITION_ROWS = 2_000_000
"""Of both runs together: 90 MB of rows, and about as much again four times while they are sorted."""
MOST_PARTITIONS = 512
"""Files that are open at once, of each run."""
_UNREADABLE_AT_ONCE = 100_000


class Names:
    """Numbers of names, the same in both runs; 0 is none."""

    def __init__(self) -> None:
        self.names: list[str] = [""]
        self._number: dict[str, int] = {"": 0}

    def codes(self, column: pa.ChunkedArray) -> NDArray[np.uint32]:
        """uint32[N] of a column of names, null is 0."""
        coded = pc.dictionary_encode(pc.fill_null(column.cast(pa.string()), "")).combine_chunks()
        known = np.array([self._code(name) for name in coded.dictionary.to_pylist()], np.uint32)
        where = coded.indices.to_numpy(zero_copy_only=False)
        return known[where] if len(where) else np.empty(0, np.uint32)

    def _code(self, name: str) -> int:
        if name not in self._number:
            self._number[name] = len(self.names)
            self.names.append(name)
        return self._number[name]


class Partition(NamedTuple):
    """Documents of both runs whose hashes lie in one range: rows of those in both, pair by pair, and of the others."""

    then: Rows
    """[P]"""
    now: Rows
    """[P]"""
    only_then: Rows
    only_now: Rows


def joined(
    then: RunRecords, now: RunRecords, names: Names, partition_rows: int = PARTITION_ROWS
) -> Iterator[Partition]:
    """Documents of two runs, range of hashes by range, the lowest first."""
    documents = sum(part.rows for run in (then, now) for part in run.parts)
    bits = min(MOST_PARTITIONS, max(1, -(-documents // partition_rows)) - 1).bit_length()
    with tempfile.TemporaryDirectory(prefix="winnow-compare-") as folder:
        for side, run in (("then", then), ("now", now)):
            _write(run, names, Path(folder), side, bits)
        for number in range(1 << bits):
            files = [Path(folder) / f"{side}-{number}" for side in ("then", "now")]
            yield merge(*(np.fromfile(file, ROW) for file in files))
            for file in files:
                file.unlink()


def merge(then: Rows, now: Rows) -> Partition:
    """Pair the rows of two runs by hash, and by order among those with one hash."""
    then, now = then[_order(then)], now[_order(now)]
    both = np.concatenate((then, now))
    place = np.concatenate((_occurrence(then), _occurrence(now)))
    order = np.lexsort((place, both["low"], both["high"]))  # stable: then comes before now
    a, b = order[:-1], order[1:]
    same = (both["high"][a] == both["high"][b]) & (both["low"][a] == both["low"][b]) & (place[a] == place[b])
    first, second = a[same], b[same] - len(then)
    alone_then, alone_now = np.ones(len(then), bool), np.ones(len(now), bool)
    alone_then[first], alone_now[second] = False, False
    return Partition(then[first], now[second], then[alone_then], now[alone_now])


def _order(rows: Rows) -> NDArray[np.intp]:
    return np.lexsort((rows["low"], rows["high"]))


def _occurrence(rows: Rows) -> NDArray[np.int64]:
    """[M] how many rows with the same hash stand before each of the sorted rows."""
    at = np.arange(len(rows))
    begins = np.ones(len(rows), bool)
    begins[1:] = (rows["high"][1:] != rows["high"][:-1]) | (rows["low"][1:] != rows["low"][:-1])
    return at - np.maximum.accumulate(np.where(begins, at, 0)) if len(rows) else at


def _write(run: RunRecords, names: Names, folder: Path, side: str, bits: int) -> None:
    files = [(folder / f"{side}-{number}").open("wb") for number in range(1 << bits)]
    try:
        for rows in _rows_of(run, names):
            partition = (rows["high"] >> np.uint64(64 - bits)).astype(np.int64) if bits else np.zeros(len(rows), int)
            order = np.argsort(partition, kind="stable")
            ends = np.searchsorted(partition[order], np.arange(len(files) + 1))
            sorted_rows = rows[order]
            for number, file in enumerate(files):
                if ends[number + 1] > ends[number]:
                    sorted_rows[ends[number] : ends[number + 1]].tofile(file)
    finally:
        for file in files:
            file.close()


def _rows_of(run: RunRecords, names: Names) -> Iterator[Rows]:
    """Readable documents part by part, then unreadable records that have a number."""
    outcome_of = {name: number for number, name in enumerate(schemas.OUTCOMES)}
    for part, decided in zip(run.parts, run.ledger, strict=True):
        documents = read_parquet(run.store, part.documents, ["doc", "id", "source"])
        signals = read_parquet(run.store, part.signals, ["language", "characters"])
        columns = ["outcome", "rule", "split", "copies"]
        decisions = read_parquet(run.store, decided.outputs["decisions"].reference(), columns)
        rows = hashed_rows(documents.column("source"), documents.column("id"))
        rows["doc"] = column_to_numpy(documents, "doc")
        outcome = pc.dictionary_encode(decisions.column("outcome").cast(pa.string())).combine_chunks()
        known = np.array([outcome_of[name] for name in outcome.dictionary.to_pylist()], np.uint8)
        if len(rows):
            rows["outcome"] = known[outcome.indices.to_numpy(zero_copy_only=False)]
        for name, column in (
            ("rule", decisions.column("rule")),
            ("split", decisions.column("split")),
            ("source", documents.column("source")),
            ("language", signals.column("language")),
        ):
            rows[name] = names.codes(column)
        rows["copies"] = column_to_numpy(decisions, "copies")
        rows["characters"] = column_to_numpy(signals, "characters")
        yield rows
    yield from _unreadable_rows(run, names, outcome_of[schemas.UNREADABLE])


def _unreadable_rows(run: RunRecords, names: Names, outcome: int) -> Iterator[Rows]:
    known: list[tuple[str, str]] = []

    def made() -> Rows:
        sources = pa.chunked_array([pa.array([source for source, _ in known], pa.string())])
        rows = hashed_rows(sources, pa.chunked_array([pa.array([name for _, name in known], pa.string())]))
        rows["doc"], rows["outcome"], rows["source"] = schemas.NO_DOC, outcome, names.codes(sources)
        known.clear()
        return rows

    for record in unreadable_records(run):
        if record["row"] is not None:  # else the rest of a file, which is no document
            name = record["id"] or f"{record['source']}:{record['path']}:{record['row']}"
            known.append((record["source"], name))
        if len(known) == _UNREADABLE_AT_ONCE:
            yield made()
    if known:
        yield made()


def hashed_rows(sources: Any, ids: Any) -> Rows:
    """Rows [N] that have their hashes and nothing else yet."""
    rows = np.zeros(len(ids), ROW)
    if len(ids):
        strings = (column.cast(pa.large_string()) for column in (sources, ids))
        keys = pc.binary_join_element_wise(*strings, pa.scalar("\0", pa.large_string())).combine_chunks()
        hashes = text_hashes(keys)
        rows["high"], rows["low"] = hashes[:, 0], hashes[:, 1]
    return rows
