"""Check: whether an index holds what its records say, from its files alone."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from winnow.dedup.index import first_document_of, is_indexed
from winnow.engine.exchange import ExchangeFile, partition_of_hash
from winnow.engine.records import Json
from winnow.index.folder import Index, Segment
from winnow.stages.tables import column_to_numpy, read_ipc, read_parquet
from winnow.storage.store import Store


def check_index(index: Index) -> list[str]:
    """Faults of an index: files gone or altered, rows missing or out of order, numbers given twice.

    Raises:
        ConfigError: the header or a record is damaged; nothing can be said about the rest.
    """
    if index.header() is None:
        return [f"{index.path}: no header ({index.path}/index.json); no run has begun an index here"]
    faults = []
    known = list(index.segments(dropped=True).values())
    for before, after in pairwise(known):
        if after.first_part < before.end_part:
            faults.append(f"segments {before.number} and {after.number}: the same part numbers were given twice")
    for segment in index.segments().values():
        faults += _check_segment(index, segment)
    return faults


def _check_segment(index: Index, segment: Segment) -> list[str]:
    faults = []
    name = f"segment {segment.number} ({segment.run})"
    if [part["part"] for part in segment.parts] != list(range(segment.first_part, segment.end_part)):
        faults.append(f"{name}: its parts are not numbered {segment.first_part} to {segment.end_part - 1}")
    for total, column in ((segment.documents, "rows"), (segment.kept, "kept")):
        if sum(part[column] for part in segment.parts) != total:
            faults.append(f"{name}: the {column} of its parts are not {total:,} together, as its record says")
    for part in segment.parts:
        damaged = _check_files(index.store, part)
        faults += damaged or _check_rows(index.store, part)
    return faults


def _check_files(store: Store, part: Json) -> list[str]:
    faults = []
    for output in part["outputs"].values():
        if not store.exists(output["path"]):
            faults.append(f"{output['path']}: missing")
        elif store.hash(output["path"]) != output["hash"]:
            faults.append(f"{output['path']}: altered; its hash is not the one in the record")
    return faults


def _check_rows(store: Store, part: Json) -> list[str]:
    """Faults inside files that are as they were written."""
    outputs, rows, kept = part["outputs"], part["rows"], part["kept"]
    faults = []
    with store.open(outputs["bands"]["path"]) as file:
        bands = ExchangeFile.open(file)
        columns = bands.read(0, bands.num_partitions)
        place = np.repeat(np.arange(bands.num_partitions), np.diff(bands.row_starts(0, bands.num_partitions)))
    keys = columns["key"].astype(np.uint64)
    if not _rises(keys) or not np.array_equal(partition_of_hash(keys, bands.num_partitions), place):
        faults.append(f"{outputs['bands']['path']}: keys are not sorted, or not in their ranges")
    if len(keys) and int(columns["row"].max()) >= rows:
        faults.append(f"{outputs['bands']['path']}: names rows beyond the {rows:,} of its part")

    links = read_ipc(store, outputs["links"])
    docs = column_to_numpy(links, "doc")
    own_end = first_document_of(part["part"] + 1)
    own = docs[(docs >= first_document_of(part["part"])) & (docs < own_end)]
    if not is_indexed(docs).all() or (docs >= own_end).any() or ((own & np.uint64(0xFFFF_FFFF)) >= rows).any():
        faults.append(f"{outputs['links']['path']}: names documents that are not in the index")

    if read_ipc(store, outputs["signatures"]).num_rows != kept:
        faults.append(f"{outputs['signatures']['path']}: not one row for each of {kept:,} kept documents")
    if "shingles" in outputs and read_ipc(store, outputs["shingles"]).num_rows != kept:
        faults.append(f"{outputs['shingles']['path']}: not one row for each of {kept:,} kept documents")
    documents = column_to_numpy(read_parquet(store, outputs["documents"], ["doc"]), "doc")
    if len(documents) != kept or not _rises(documents):
        faults.append(f"{outputs['documents']['path']}: not one row for each of {kept:,} kept documents, in order")
    return faults


def _rises(values: NDArray[np.uint64]) -> bool:
    return bool((values[1:] > values[:-1]).all())
