"""Places: the rows and shards that hold a document, from the index of the shuffle's files alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from winnow.engine.exchange import partition_of_hash
from winnow.engine.records import Json
from winnow.errors import ConfigError
from winnow.flow.records import RunRecords
from winnow.looking.texts import parts_holding
from winnow.looking.token_lengths import token_lengths
from winnow.shards.order import order_keys
from winnow.stages.shards.layout import first_tokens
from winnow.stages.shards.row_groups import in_final_order, pack_group, read_groups, rows_of_groups
from winnow.stages.shards.stream import read_documents
from winnow.stages.tables import column_to_numpy, read_ipc


@dataclass(frozen=True)
class DocumentLocation:
    """Where a copy of the document went: rows (counted through the split) and shard files.

    Nowhere, where rows leave the document out.
    """

    split: str
    copy: int
    rows: Sequence[int]
    """Rising."""
    shards: tuple[str, ...]

    @property
    def first_row(self) -> int:
        """Of the rows."""
        return self.rows[0]

    @property
    def last_row(self) -> int:
        """Of the rows."""
        return self.rows[-1]


def locations_of(run: RunRecords, part: int, doc: int, decision: Json) -> tuple[int, tuple[DocumentLocation, ...]]:
    """Ids of a kept document, and where every copy of it is.

    Args:
        run: the run.
        part: number of the document's part.
        doc: the document.
        decision: its row of the decisions table.
    """
    docs, lengths = token_lengths(run, part)
    return int(lengths[np.searchsorted(docs, np.uint64(doc))]), locate(run, [decision])[doc]


def locate(run: RunRecords, decisions: Iterable[Json]) -> dict[int, tuple[DocumentLocation, ...]]:
    """By document, where every copy of it is. What lies together is read once.

    Args:
        run: the run.
        decisions: rows of the decisions table (``doc``, ``split``, ``copies``) of kept documents.
    """
    config, shards = run.config.shards, run.manifest["shards"]["splits"]
    decisions = list(decisions)
    in_phases = _copies_in_phases(run, decisions)
    wanted = []
    for decision in decisions:
        split, doc, first = config.split_names.index(decision["split"]), decision["doc"], 0
        each = in_phases.get(doc) or {config.sections_of(split)[0]: decision["copies"]}
        for section, number in each.items():
            for copy in range(number):
                one, copy_of, among = (np.array([value], np.uint64) for value in (doc, copy, number))
                key_high, _ = order_keys(one, copy_of, among, config.seed, config.epoch, first)
                wanted.append((section, int(key_high[0]), doc, first + copy))
            first += number
    rows = _Groups(run) if config.packs_by_groups else _Stream(run)
    found: dict[int, dict[int, DocumentLocation]] = {}
    before = [_rows_before(run, section) for section in range(len(config.sections))]
    for section, key, doc, copy in sorted(wanted):
        name = config.split_names[config.sections[section]]
        of_copy = _moved(rows(section, key, doc, copy), before[section])
        there = DocumentLocation(name, copy, of_copy, _shards_of(shards[name]["shards"], of_copy))
        found.setdefault(doc, {})[copy] = there
    return {doc: tuple(copies[copy] for copy in sorted(copies)) for doc, copies in found.items()}


def _copies_in_phases(run: RunRecords, decisions: list[Json]) -> dict[int, dict[int, int]]:
    """By document of a split with phases, how many copies each of its sections has; empty without phases."""
    config = run.config.shards
    if not config.phases:
        return {}
    docs = np.array([row["doc"] for row in decisions if row["split"] == config.split_names[0]], np.uint64)
    found: dict[int, dict[int, int]] = {}
    for part, places in parts_holding(run, docs):
        told = read_ipc(run.store, run.of("mixture")[part].outputs["phases"].reference())
        for row in told.filter(pa.array(np.isin(column_to_numpy(told, "doc"), docs[places]))).to_pylist():
            found[row["doc"]] = {section: row[f"copies{section}"] for section in config.sections_of(0)}
    return found


def _rows_before(run: RunRecords, section: int) -> int:
    """Rows of the split in sections before this one."""
    sections = run.config.shards.sections
    before = {number for number, of in enumerate(sections) if of == sections[section] and number < section}
    return sum(r.counters["rows"] for r in run.of("shards") if r.metadata["split"] in before)


def _moved(rows: Sequence[int], by: int) -> Sequence[int]:
    if isinstance(rows, range):
        return range(rows.start + by, rows.stop + by)
    return [row + by for row in rows]


class _Groups:
    """Rows of documents, in their section (``split``), where rows are packed by groups: a group is packed again."""

    def __init__(self, run: RunRecords) -> None:
        self._run = run
        self._held: tuple[tuple[int, int], Any] = ((-1, -1), None)

    def __call__(self, split: int, key: int, doc: int, copy: int) -> Sequence[int]:
        starts = rows_of_groups(self._run.of("row_counts"), split)
        group = int(partition_of_hash(np.array([key], np.uint64), len(starts) - 1)[0])
        if self._held[0] != (split, group):
            self._held = (split, group), self._pack(split, group, len(starts) - 1)
        documents, pieces = self._held[1]
        mine = np.flatnonzero((documents.doc == doc) & (documents.copy == copy))[0]
        rows: list[int] = (starts[group] + np.unique(pieces.row[pieces.document == mine])).tolist()
        return rows

    def _pack(self, split: int, group: int, groups: int) -> Any:
        run, config = self._run, self._run.config.shards
        description = {
            "split": split,
            "groups": groups,
            "first_group": group,
            "last_group": group + 1,
            "partitions": run.layout["partitions"],
            "exchange": _exchange(run),
        }
        documents, _, _ = read_groups(run.store, description)
        pieces = pack_group(config.row_settings, documents.lengths + 1, config.row_tokens)
        return documents, in_final_order(config.row_settings, pieces, documents, config.seed, config.epoch)


class _Stream:
    """Rows of documents, in their section (``split``), where rows are cut from the stream."""

    def __init__(self, run: RunRecords) -> None:
        self._run = run
        self._exchange = _exchange(run)
        self._starts = first_tokens(run.of("layout"), run.layout["partitions"])
        self._held: tuple[int, Any, Any] = (-1, None, None)

    def __call__(self, split: int, key: int, doc: int, copy: int) -> Sequence[int]:
        config, partitions = self._run.config.shards, self._run.layout["partitions"]
        partition = int(partition_of_hash(np.array([key], np.uint64), partitions)[0])
        at = split * partitions + partition
        if self._held[0] != at:
            documents, _ = read_documents(self._run.store, self._exchange, at, at + 1)
            ends = np.cumsum(documents.lengths + 1)
            self._held = at, documents, ends - documents.lengths - 1
        _, documents, begins = self._held
        mine = int(np.flatnonzero((documents.doc == doc) & (documents.copy == copy))[0])
        first = int(self._starts[split, partition]) + int(begins[mine])
        last = first + int(documents.lengths[mine])
        if config.row == "concat":
            return range(first // config.row_tokens, last // config.row_tokens + 1)
        windows = sum(r.counters["rows"] for r in self._run.of("shards") if r.metadata["split"] == split)
        begin = max(0, (first - config.row_tokens) // config.stride_tokens + 1)
        return range(begin, max(begin, min(last // config.stride_tokens + 1, windows)))


def _exchange(run: RunRecords) -> Json:
    if "exchange" not in run.layout or "layout" in run.layout:
        raise ConfigError(
            f"{run.store.location()}: an earlier version finished this run, and left out where its documents lie; run "
            "`winnow run` again: it adds that, and computes nothing but layout and shards"
        )
    exchange: Json = run.layout["exchange"]
    return exchange


def _shards_of(shards: list[Json], rows: Sequence[int]) -> tuple[str, ...]:
    ends = np.cumsum([shard["rows"] for shard in shards])
    holding = np.unique(np.searchsorted(ends, np.asarray(rows, np.int64), side="right"))
    return tuple(shards[number]["path"] for number in holding)
