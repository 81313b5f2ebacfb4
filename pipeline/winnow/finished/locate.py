"""Places: the rows and shards that hold a document, from the index of the shuffle's files alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from winnow.engine.exchange import partition_of_hash
from winnow.engine.records import Json
from winnow.errors import ConfigError
from winnow.flow.records import RunRecords
from winnow.shards.order import order_keys
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
    tokens = read_ipc(run.store, run.of("tokenise")[part].outputs["tokens"].reference())
    ids = tokens.filter(pc.equal(tokens.column("doc"), pa.scalar(doc, pa.uint64()))).column("ids")
    length = len(ids[0].as_py())
    config = run.config.shards
    shards = run.manifest["shards"]["splits"][decision["split"]]["shards"]
    split = config.split_names.index(decision["split"])
    places = []
    for copy, section, first, among_them in _sections(run, part, doc, split, decision["copies"]):
        one, copy_of, among = (np.array([value], np.uint64) for value in (doc, copy - first, among_them))
        key, _ = order_keys(one, copy_of, among, config.seed, config.epoch, first)
        find = _rows_of_group if config.packs_by_groups else _rows_of_stream
        rows = _moved(find(run, section, int(key[0]), doc, copy), _rows_before(run, section))
        places.append(DocumentLocation(decision["split"], copy, rows, _shards_of(shards, rows)))
    return length, tuple(places)


def _sections(run: RunRecords, part: int, doc: int, split: int, copies: int) -> Iterator[tuple[int, int, int, int]]:
    """Of each copy its number, its section, the document's first copy there, and how many are there."""
    config = run.config.shards
    each = {config.sections_of(split)[0]: copies}
    if config.phases and split == 0:
        told = read_ipc(run.store, run.of("mixture")[part].outputs["phases"].reference())
        row = told.filter(pc.equal(told.column("doc"), pa.scalar(doc, pa.uint64()))).to_pylist()[0]
        each = {section: row[f"copies{section}"] for section in config.sections_of(split)}
    first = 0
    for section, number in each.items():
        yield from ((copy, section, first, number) for copy in range(first, first + number))
        first += number


def _rows_before(run: RunRecords, section: int) -> int:
    """Rows of the split in sections before this one."""
    sections = run.config.shards.sections
    before = {number for number, of in enumerate(sections) if of == sections[section] and number < section}
    return sum(r.counters["rows"] for r in run.of("shards") if r.metadata["split"] in before)


def _moved(rows: Sequence[int], by: int) -> Sequence[int]:
    if isinstance(rows, range):
        return range(rows.start + by, rows.stop + by)
    return [row + by for row in rows]


def _rows_of_group(run: RunRecords, split: int, key: int, doc: int, copy: int) -> Sequence[int]:
    """Rows of a document, in its section (``split``), where rows are packed by groups: its group is packed again."""
    config = run.config.shards
    row = config.row_settings
    counted = run.of("row_counts")
    starts = rows_of_groups(counted, split)
    group = int(partition_of_hash(np.array([key], np.uint64), len(starts) - 1)[0])
    description = {
        "split": split,
        "groups": len(starts) - 1,
        "first_group": group,
        "last_group": group + 1,
        "partitions": run.layout["partitions"],
        "exchange": _exchange(run),
    }
    documents, _, _ = read_groups(run.store, description)
    pieces = pack_group(row, documents.lengths + 1, config.row_tokens)
    pieces = in_final_order(row, pieces, documents, config.seed, config.epoch)
    mine = np.flatnonzero((documents.doc == doc) & (documents.copy == copy))[0]
    rows: list[int] = (starts[group] + np.unique(pieces.row[pieces.document == mine])).tolist()
    return rows


def _rows_of_stream(run: RunRecords, split: int, key: int, doc: int, copy: int) -> Sequence[int]:
    """Rows of a document, in its section (``split``), where rows are cut from the stream."""
    config = run.config.shards
    partitions = run.layout["partitions"]
    partition = int(partition_of_hash(np.array([key], np.uint64), partitions)[0])
    at = split * partitions + partition
    documents, _ = read_documents(run.store, _exchange(run), at, at + 1)
    mine = int(np.flatnonzero((documents.doc == doc) & (documents.copy == copy))[0])
    layout = read_ipc(run.store, run.layout["layout"])
    starts = column_to_numpy(layout, "first_token")[column_to_numpy(layout, "split") == split]
    first = int(starts[partition]) + int((documents.lengths[:mine] + 1).sum())
    last = first + int(documents.lengths[mine])
    if config.row == "concat":
        return range(first // config.row_tokens, last // config.row_tokens + 1)
    windows = sum(r.counters["rows"] for r in run.of("shards") if r.metadata["split"] == split)
    begin = max(0, (first - config.row_tokens) // config.stride_tokens + 1)
    return range(begin, max(begin, min(last // config.stride_tokens + 1, windows)))


def _exchange(run: RunRecords) -> Json:
    if "exchange" not in run.layout:
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
