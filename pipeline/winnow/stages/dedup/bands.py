"""Bands and edges: documents that share a band of their signature, or their whole text, meet in one partition."""

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.dedup.bands import exchange_rows, group_edges, prompt_keys
from winnow.dedup.exact import text_hashes
from winnow.dedup.minhash_config import MinHashConfig
from winnow.engine.exchange import Columns, partition_of_hash, partitions_for
from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.numeric.radix import sort_pairs
from winnow.sources.source import STRUCTURE
from winnow.sources.structured.structure import prompt_of
from winnow.stages.dedup.index_lookup import matching_keys
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import (
    column_to_numpy,
    exchange_output,
    ipc_output,
    list_column_to_2d,
    read_ipc,
    read_parquet,
    read_partition,
)

KEY_BYTES = 16  # a band key and a document number


def bands_stage(minhash: MinHashConfig) -> Stage:
    """Map side: band keys of every document that the filter passed."""
    return Stage("bands", 1, {"minhash": minhash.model_dump()}, run_bands)


def plan_bands(
    parts: list[Part], filtered: list[Record], minhash: MinHashConfig, partition_mb: int, *, prompts: bool = False
) -> list[Unit]:
    """One unit a part. The number of partitions follows from the number of keys alone.

    ``prompts``: documents are preference pairs, and those of one prompt belong together.
    """
    passed = total(filtered, "passed")
    partitions = partitions_for(passed * minhash.num_bands * KEY_BYTES, partition_mb)
    return [
        Unit(
            part.number,
            {
                "signatures": part.signatures,
                "verdicts": record.outputs["verdicts"].reference(),
                "partitions": partitions,
                **({"prompts": part.documents} if prompts else {}),
            },
            part.rows * minhash.num_perm * 4,
        )
        for part, record in zip(parts, filtered, strict=True)
    ]


def run_bands(unit: Unit, workspace: Workspace) -> None:
    """Write (key, doc) for every band of every passed document, and one of its text where it has no words."""
    minhash = MinHashConfig.model_validate(workspace.settings["minhash"])
    table = read_ipc(workspace.store, unit.inputs["signatures"])
    passed = np.flatnonzero(
        column_to_numpy(read_parquet(workspace.store, unit.inputs["verdicts"], ["passed"]), "passed")
    )
    hashes = np.stack(
        [column_to_numpy(table, "exact_high")[passed], column_to_numpy(table, "exact_low")[passed]], axis=1
    )
    signatures = list_column_to_2d(table, "signature", minhash.num_perm)[passed]
    docs = column_to_numpy(table, "doc")[passed]
    keys, owners = exchange_rows(signatures, hashes, docs, minhash)
    if "prompts" in unit.inputs:
        keys = np.concatenate([keys, _prompt_keys(workspace, unit.inputs["prompts"], passed)])
        owners = np.concatenate([owners, docs])
    keys, owners = sort_pairs(keys, owners, False)
    partition = partition_of_hash(keys, unit.inputs["partitions"])
    columns: Columns = {"key": keys, "doc": owners}
    exchange_output(workspace, "bands", partition, columns, unit.inputs["partitions"])
    workspace.count("keys", len(keys))


def _prompt_keys(workspace: Workspace, documents: Json, passed: NDArray[np.int64]) -> NDArray[np.uint64]:
    """uint64[N] of the passed documents, which are preference pairs."""
    column = f"keep.{STRUCTURE}"
    structures = read_parquet(workspace.store, documents, [column]).column(column).take(pa.array(passed))
    prompts = [prompt_of(orjson.loads(structure)) for structure in structures.to_pylist()]
    return prompt_keys(text_hashes(pa.array(prompts, pa.large_string())))


def edges_stage() -> Stage:
    """Reduce side: equal keys form a group, a group gives star edges."""
    return Stage("edges", 1, {}, run_edges)


def plan_edges(listing: Json, banded: list[Record], partitions: int, index: Json | None = None) -> list[Unit]:
    """One unit a partition. ``index`` lists the parts of an index, whose documents are then met as well."""
    size = total(banded, "keys") * KEY_BYTES // partitions
    indexed = {} if index is None else {"index": index, "partitions": partitions}
    return [Unit(number, {"bands": listing, "partition": number, **indexed}, size) for number in range(partitions)]


def run_edges(unit: Unit, workspace: Workspace) -> None:
    """Read one partition from every map file and emit its edges."""
    partition = unit.inputs["partition"]
    columns = read_partition(workspace.store, unit.inputs["bands"], partition)
    if "index" in unit.inputs:
        partitions = unit.inputs["partitions"]
        keys, docs = matching_keys(
            workspace.store, unit.inputs["index"], columns["key"].astype(np.uint64), partition, partitions
        )
        columns = {"key": np.concatenate([columns["key"], keys]), "doc": np.concatenate([columns["doc"], docs])}
    # handed over, not kept: a partition exists several times while it is sorted
    edges = group_edges(
        columns.pop("key").astype(np.uint64, copy=False), columns.pop("doc").astype(np.uint64, copy=False)
    )
    with ipc_output(workspace, "edges", schemas.EDGES) as table:
        table.write({"a": np.ascontiguousarray(edges[:, 0]), "b": np.ascontiguousarray(edges[:, 1])})
    workspace.count("edges", len(edges))
