"""What a run reads of an index: the band keys it shares with it, and the signatures of candidates.

Bands are read key range by key range, signatures are mapped and only those of candidates are read: memory depends
on the run, not on the index. Its components are found by :mod:`winnow.stages.dedup.index_groups`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.dedup.index import FIRST_PART, first_document_of, first_of_each, indexed_documents, meeting
from winnow.engine.exchange import ExchangeFile, partition_of_hash
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.stages.dedup.candidate_sets import first_of_each_text
from winnow.stages.dedup.candidates import guard_columns, spread_components, write_candidates
from winnow.stages.dedup.index_members import tables_of
from winnow.stages.ingest.labels import NO_LABEL
from winnow.stages.tables import column_to_numpy, list_column_to_2d, read_ipc, read_listing
from winnow.storage.store import Store

PARTS_IN_UNIT = 64
KEPT_IN_UNIT = 1_000_000


def matching_keys(
    store: Store, index: Json, keys: NDArray[np.uint64], partition: int, partitions: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Keys of the index that this run's keys of one partition meet, and a document that has each.

    Args:
        store: the run folder.
        index: the published list of the index's parts.
        keys: uint64[K] of one partition, in any order.
        partition: which one.
        partitions: of how many.

    Returns:
        keys uint64[F] and docs uint64[F], at most one for each key and part.
    """
    wanted = np.sort(keys)
    wanted = wanted[first_of_each(wanted)]
    found: list[tuple[NDArray[Any], NDArray[Any]]] = [(np.empty(0, np.uint64), np.empty(0, np.uint64))]
    for entry in read_listing(store, index):
        with store.open(entry["bands"]["path"]) as file:
            bands = ExchangeFile.open(file)
            ranges = bands.num_partitions
            columns = bands.read(partition * ranges // partitions, -(-(partition + 1) * ranges // partitions))
        met = meeting(wanted, columns["key"].astype(np.uint64))
        rows = columns["row"][met].astype(np.uint32)
        found.append((columns["key"][met], indexed_documents(entry["part"], rows)))
    return np.concatenate([keys for keys, _ in found]), np.concatenate([docs for _, docs in found])


def sizes_stage() -> Stage:
    """How many shingles the index's candidates have, so that partitions can be as large as they should be."""
    return Stage("index_candidate_sizes", 1, {}, run_sizes)


def run_sizes(unit: Unit, workspace: Workspace) -> None:
    """Count shingles, repeats included: an upper bound of what will be sent."""
    store, inputs = workspace.store, unit.inputs
    entries = _entries(store, inputs)
    linked, _ = _members(store, inputs["indexed"], entries)
    for entry in entries:
        rows = _kept_rows(entry, linked)[1]
        workspace.count(
            "shingles", column_to_numpy(read_ipc(store, entry["signatures"]), "shingles")[rows].sum(dtype=np.int64)
        )


def candidates_stage(num_perm: int, *, sets: bool, labelled: bool = False, guarded: bool = False) -> Stage:
    """Map side: signature and split group of every document that an earlier run kept and this run's may repeat.

    ``sets``: also its set of shingles. ``labelled``: this run's candidates have labels; an index holds none.
    ``guarded``: also what a guard asks for, where the run that kept the document stored it.
    """
    settings = {"num_perm": num_perm, "sets": sets, "labelled": labelled, "guarded": guarded}
    return Stage("index_candidates", 2, settings, run_candidates)


def plan_candidates(
    index: Json, entries: list[Json], members: list[Record], partitions: int | None = None
) -> list[Unit]:
    """One unit for a run of parts of the index, all those of small runs together.

    Args:
        index: the published list of its parts.
        entries: these parts.
        members: records of :mod:`winnow.stages.dedup.index_members`.
        partitions: where candidates are sent; without: units of the sizes stage.
    """
    units: list[Unit] = []
    first = kept = 0
    for number, entry in enumerate(entries):
        kept += entry["kept"]
        last = number + 1
        if last == len(entries) or last - first >= PARTS_IN_UNIT or kept >= KEPT_IN_UNIT:
            indexed = tables_of(members, *_range_of(entries[first:last]))
            inputs = {"index": index, "first": first, "last": last, "indexed": indexed}
            if partitions is not None:
                inputs["partitions"] = partitions
            units.append(Unit(len(units), inputs, kept * 64))
            first, kept = last, 0
    return units


def run_candidates(unit: Unit, workspace: Workspace) -> None:
    """Send the candidates of some parts of the index to the partition of their component."""
    store, inputs, num_perm = workspace.store, unit.inputs, workspace.settings["num_perm"]
    entries = _entries(store, inputs)
    linked, component = _members(store, inputs["indexed"], entries)
    pieces = [_gather(store, entry, linked, component, num_perm) for entry in entries]
    columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    order, spread = spread_components(columns["component"], columns["doc"])
    columns = {name: values[order] for name, values in columns.items()}
    partition = partition_of_hash(spread, inputs["partitions"])
    if workspace.settings["labelled"]:
        columns["label"] = np.full(len(partition), NO_LABEL)
    guarded = workspace.settings["guarded"]
    sets = _shingle_sets(store, entries, columns, guarded=guarded) if workspace.settings["sets"] else None
    write_candidates(workspace, partition, columns, inputs["partitions"], sets)


def _shingle_sets(
    store: Store, entries: list[Json], columns: dict[str, NDArray[Any]], *, guarded: bool
) -> tuple[NDArray[np.uint32], Iterator[NDArray[np.uint32]]]:
    """Items that each row sends, uint32[M] (none where an equal text stands before it), and the items in row order.

    ``guarded``: adds columns of what the text says, where the index holds it.
    """
    first = first_of_each_text(columns["exact_high"], columns["exact_low"])
    if guarded:  # of equal texts, one of which the contents are known comes first
        known_first = np.argsort(_lacks_contents(entries, columns["doc"]), kind="stable")
        high, low = columns["exact_high"][known_first], columns["exact_low"][known_first]
        first = np.sort(known_first[first_of_each_text(high, low)])
    part = (columns["doc"][first] >> np.uint64(32)).astype(np.int64) - FIRST_PART
    row = (columns["doc"][first] & np.uint64(0xFFFF_FFFF)).astype(np.int64)
    shingles = {entry["part"]: _lists(store, entry["shingles"], "shingles") for entry in entries}
    ngrams = {e["part"]: _lists(store, e["contents"], "ngrams") for e in entries if guarded and "contents" in e}
    pieces: list[NDArray[np.uint32]] = []
    own = np.zeros(len(first), np.int64)
    sent = np.zeros(len(columns["doc"]), np.uint32)
    for place, (p, r) in enumerate(zip(part.tolist(), row.tolist(), strict=True)):
        values, offsets = shingles[p]
        pieces.append(values[offsets[r] : offsets[r + 1]])
        own[place] = len(pieces[-1])
        sent[first[place]] = own[place]
        if p in ngrams:
            values, offsets = ngrams[p]
            pieces.append(values[offsets[r] : offsets[r + 1]])
            sent[first[place]] += len(pieces[-1])
    if guarded:
        _add_contents(store, entries, columns, first, own)
    return sent, iter(pieces)


def _lists(store: Store, reference: Json, name: str) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Values of a column of lists, and where each begins among them."""
    column = read_ipc(store, reference).column(name).combine_chunks()
    return column.values.to_numpy(), column.offsets.to_numpy()


def _lacks_contents(entries: list[Json], docs: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which documents are of parts that do not hold what a guard asks for: their runs had `guard: off`. bool[N]."""
    without = np.array([entry["part"] + FIRST_PART for entry in entries if "contents" not in entry], np.uint64)
    return np.isin(docs >> np.uint64(32), without)


def _add_contents(
    store: Store,
    entries: list[Json],
    columns: dict[str, NDArray[Any]],
    rows: NDArray[np.int64],
    shingles: NDArray[np.int64],
) -> None:
    """Add the columns of what texts say to the candidates; ``rows`` are those that send ``shingles`` of items."""
    docs = columns["doc"]
    there = ~_lacks_contents(entries, docs[rows])
    rows, shingles = rows[there], shingles[there]
    found = {name: np.zeros(len(rows), np.uint32) for name in ("script", "language", "characters")}
    for entry in entries:
        here = np.flatnonzero(docs[rows] >> np.uint64(32) == np.uint64(entry["part"] + FIRST_PART))
        if "contents" in entry and len(here):
            table = read_ipc(store, entry["contents"])
            at = (docs[rows[here]] & np.uint64(0xFFFF_FFFF)).astype(np.int64)
            for name, values in found.items():
                values[here] = column_to_numpy(table, name)[at]
    columns |= guard_columns(len(docs), rows, shingles, found["script"], found["language"], found["characters"])


def _entries(store: Store, inputs: Json) -> list[Json]:
    return read_listing(store, inputs["index"])[inputs["first"] : inputs["last"]]


def _range_of(entries: list[Json]) -> tuple[int, int]:
    """First document of some parts side by side, and that behind them."""
    return first_document_of(entries[0]["part"]), first_document_of(entries[-1]["part"] + 1)


def _members(store: Store, tables: list[Json], entries: list[Json]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Documents uint64[M] of some parts that are in a component of the run, sorted, and that component."""
    pieces: list[tuple[NDArray[Any], NDArray[Any]]] = [(np.empty(0, np.uint64), np.empty(0, np.uint64))]
    for entry in tables:
        table = read_ipc(store, entry)
        docs, component = column_to_numpy(table, "doc"), column_to_numpy(table, "component")
        first, end = np.searchsorted(docs, np.array(_range_of(entries), np.uint64))
        pieces.append((docs[first:end], component[first:end]))
    return np.concatenate([docs for docs, _ in pieces]), np.concatenate([component for _, component in pieces])


def _kept_rows(entry: Json, linked: NDArray[np.uint64]) -> tuple[slice, NDArray[np.int64]]:
    """Where in ``linked`` (sorted) the kept documents of a part stand, and their rows in the part."""
    first, last = np.searchsorted(linked, indexed_documents(entry["part"], np.array([0, entry["kept"]], np.uint64)))
    return slice(first, last), (linked[first:last] & np.uint64(0xFFFF_FFFF)).astype(np.int64)


def _gather(
    store: Store, entry: Json, linked: NDArray[np.uint64], component: NDArray[np.uint64], num_perm: int
) -> dict[str, NDArray[Any]]:
    """Columns of the kept documents of one part that are in a component. They rank by age alone."""
    where, rows = _kept_rows(entry, linked)
    docs = linked[where]
    table = read_ipc(store, entry["signatures"])
    same = np.zeros(len(docs), np.int64)
    return {
        "doc": docs,
        "component": component[where],
        "group": column_to_numpy(table, "group")[rows],
        "source": same.astype(np.uint16),
        "failed_rules": same.astype(np.uint16),
        "characters": same.astype(np.uint32),
        "exact_high": column_to_numpy(table, "exact_high")[rows],
        "exact_low": column_to_numpy(table, "exact_low")[rows],
        "shingles": column_to_numpy(table, "shingles")[rows],
        "signature": list_column_to_2d(table, "signature", num_perm)[rows],
    }
