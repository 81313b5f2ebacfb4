"""Where splits end in each label: documents are counted by ranges of their place, then ranges in question looked into.

Two stages before ``decide``: label_counts (a unit a part), label_cuts (one unit). Only the ranges in which a split ends
are read, a 256th of all documents for each.

Legend: N documents, C labels, B ranges of a label, K splits besides train.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.exchange import Columns, ExchangeFile
from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.shards.order import split_keys
from winnow.stages.decide.part_decisions import PartDecisions, read_decisions
from winnow.stages.decide.strata import EVERYTHING, Cut, cut_in_range, exact_bounds
from winnow.stages.ingest.labels import NO_LABEL, labels_of, read_labels
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import column_to_numpy, exchange_output, ipc_output, read_ipc, read_listing
from winnow.storage.store import Store

_MOST_PARTITIONS = 1 << 14
_SUMS = pa.schema([("documents", pa.int64())])
_CUTS = pa.schema([("key", pa.uint64()), ("group", pa.uint64())])


def counts_stage(seed: int, weights: list[float], segment: int) -> Stage:
    """Kept documents by label and range; ``weights`` of the sources, because copies count."""
    return Stage("label_counts", 1, {"seed": seed, "weights": weights, "segment": segment}, run_counts)


def plan_counts(parts: list[Part], filtered: list[Record], member_decisions: Json | None, labels: Json) -> list[Unit]:
    """One unit a part; ``member_decisions`` is None where dedup is off."""
    return [
        Unit(part.number, describe(part, record, member_decisions, labels), part.rows * 64)
        for part, record in zip(parts, filtered, strict=True)
    ]


def describe(part: Part, filtered: Record, member_decisions: Json | None, labels: Json | None) -> Json:
    """What a unit over a part reads to tell each document's outcome, and its label where there are labels."""
    inputs = {
        "verdicts": filtered.outputs["verdicts"].reference(),
        "member_decisions": member_decisions,
        "part": part.number,
    }
    return inputs | ({} if labels is None else {"documents": part.documents, "labels": labels})


def range_bits(labels: int) -> int:
    """Bits of the number of ranges of each of C labels: 256 ranges, fewer where labels are many."""
    return max(0, min(8, (_MOST_PARTITIONS // max(1, labels)).bit_length() - 1))


def read_strata(
    store: Store, inputs: Json, decisions: PartDecisions
) -> tuple[NDArray[np.uint16], NDArray[np.uint16], int]:
    """The label of each document and of its component, uint16[N] both; and C."""
    label = labels_of(decisions.docs, read_labels(store, inputs["documents"], inputs["labels"]))
    stratum = np.where(decisions.stratum == NO_LABEL, label, decisions.stratum)
    return label, stratum, int(inputs["labels"]["rows"])


def run_counts(unit: Unit, workspace: Workspace) -> None:
    """Documents that count: kept ones that have the label of their component, copies counted."""
    store, inputs, settings = workspace.store, unit.inputs, workspace.settings
    decisions = read_decisions(
        store, inputs["verdicts"], inputs["member_decisions"], inputs["part"], settings["segment"]
    )
    label, stratum, labels = read_strata(store, inputs, decisions)
    copies = decisions.copies(settings["weights"], settings["seed"])
    row = np.flatnonzero((copies > 0) & (label == stratum))
    group, copies = decisions.group[row], copies[row]
    key = split_keys(group, settings["seed"])
    bits = range_bits(labels)
    partition = stratum[row].astype(np.int64) << bits
    if bits:
        partition += (key >> np.uint64(64 - bits)).astype(np.int64)
    order = np.lexsort((group, key, partition))
    columns: Columns = {"key": key[order], "group": group[order], "documents": copies[order].astype(np.uint32)}
    exchange_output(workspace, "entries", partition[order], columns, labels << bits)
    sums = np.zeros(labels << bits, np.int64)
    np.add.at(sums, partition, copies)
    with ipc_output(workspace, "sums", _SUMS) as table:
        table.write({"documents": sums})
    workspace.count("entries", len(row))


def cuts_stage(shares: list[float]) -> Stage:
    """Where each split of each label ends; ``shares`` of the splits besides train."""
    return Stage("label_cuts", 1, {"shares": shares}, run_cuts)


def plan_cuts(entries: Json, sums: Json, counted: list[Record], labels: int) -> list[Unit]:
    """A single unit."""
    size = total(counted, "entries") * 24 >> range_bits(labels)
    return [Unit(0, {"entries": entries, "sums": sums, "labels": labels}, size)]


def run_cuts(unit: Unit, workspace: Workspace) -> None:
    """Add up, find the ranges in which splits end, and look there. The table has K rows a label, label by label."""
    store, labels, shares = workspace.store, unit.inputs["labels"], workspace.settings["shares"]
    bits = range_bits(labels)
    added = sum(
        column_to_numpy(read_ipc(store, entry), "documents") for entry in read_listing(store, unit.inputs["sums"])
    )
    ends = np.cumsum(np.asarray(added, np.int64).reshape(labels, 1 << bits), axis=1)
    wanted = []  # (label, split, range, bound)
    for label in np.flatnonzero(ends[:, -1]).tolist():
        for split, bound in enumerate(exact_bounds(int(ends[label, -1]), shares)):
            number = int(np.searchsorted(ends[label], int(bound), side="right"))  # bound < all, so it is there
            wanted.append((label, split, number, bound))
    held = _read(store, unit.inputs["entries"], sorted({(label << bits) + number for label, _, number, _ in wanted}))
    cuts = [[Cut(0, 0)] * len(shares) for _ in range(labels)]
    for label, split, number, bound in wanted:
        entries = held[(label << bits) + number]
        before = int(ends[label, number - 1]) if number else 0
        end = EVERYTHING if number + 1 == 1 << bits else Cut((number + 1) << (64 - bits), 0)
        documents = entries["documents"].astype(np.int64)
        cuts[label][split] = cut_in_range(entries["key"], entries["group"], documents, before, bound, end)
    flat = [cut for of_label in cuts for cut in of_label]
    with ipc_output(workspace, "cuts", _CUTS) as table:
        table.write({name: np.array([getattr(cut, name) for cut in flat], np.uint64) for name in ("key", "group")})


def read_cuts(store: Store, cuts: Json, labels: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Key and group of the end of each split in each label: uint64[C, K] both."""
    table = read_ipc(store, cuts)
    return column_to_numpy(table, "key").reshape(labels, -1), column_to_numpy(table, "group").reshape(labels, -1)


def _read(store: Store, listing: Json, partitions: list[int]) -> dict[int, dict[str, NDArray[np.uint64]]]:
    """Some partitions of an exchange, by number; every file is opened once."""
    pieces: dict[int, list[Columns]] = {number: [] for number in partitions}
    for entry in read_listing(store, listing):
        with store.open(entry["path"]) as file:
            exchange = ExchangeFile.open(file)
            for number in partitions:
                pieces[number].append(exchange.read(number, number + 1))
    return {
        number: {name: np.concatenate([piece[name] for piece in of_number]) for name in of_number[0]}
        for number, of_number in pieces.items()
    }
