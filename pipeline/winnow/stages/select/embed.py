"""Embed: a vector for every kept document, float16 of unit length.

In two halves, so that CPU tasks can read and tokenise while GPU actors compute: ``prepare`` and ``finish``.
"""

from functools import partial

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Accelerated, Stage, Workspace, run_unit
from winnow.fault_point import fault_point
from winnow.select.encoder import Encoder, encoder_of, encoder_settings
from winnow.select.encoder_config import HASHING, EncoderConfig
from winnow.select.vectors import has_vector, stored_vectors
from winnow.stages.ingest.isolate import probe_in_child
from winnow.stages.select import clusters
from winnow.stages.tables import column_to_numpy, ipc_output, parquet_batches, read_ipc
from winnow.storage.config import StorageConfig
from winnow.storage.node_copy import node_copy

ROWS_A_BATCH = 65_536


def embeddings(dimensions: int) -> pa.Schema:
    """One row a kept document; a vector of zeros stands for a document that has none (no words, or NaN)."""
    return pa.schema([("doc", pa.uint64()), ("vector", pa.list_(pa.float16(), dimensions))])


def stage(config: EncoderConfig, gpus: bool, storage: StorageConfig, assigning: Json | None = None) -> Stage:
    """The stage. The model is named by the hashes of its files, not by where it lies.

    Args:
        config: the encoder.
        gpus: whether the run asks for GPUs.
        storage: how a model at an address is reached.
        assigning: where centres are there already: the stage ``assign``'s ``settings``, ``centres`` (their record) and
            ``partitions``. Then each unit finds its documents' clusters and commits that unit of ``assign``, too, while
            it holds the vectors. It does not reach the embeddings.
    """
    settings = encoder_settings(on_this_node(config, storage), gpus)
    accelerated = Accelerated(prepare, finish) if config.model != HASHING else None
    runtime = {"model": config.model, "assigning": assigning}
    return Stage("embed", 2, settings, run, runtime, accelerated=accelerated)


def on_this_node(config: EncoderConfig, storage: StorageConfig) -> EncoderConfig:
    """The encoder with its model on this node's disk."""
    return config.model_copy(update={"model": node_copy(config.model, storage)})


def _encoder(workspace: Workspace) -> Encoder:
    model = node_copy(workspace.runtime["model"], workspace.store.storage)
    return encoder_of(workspace.settings, model)


def run(unit: Unit, workspace: Workspace) -> None:
    """Both halves in one process."""
    finish(unit, workspace, prepare(unit, workspace))


def prepare(unit: Unit, workspace: Workspace) -> pa.Table:
    """The CPU half: documents and what the model takes of them, columns ``doc`` and ``prepared``."""
    encoder = _encoder(workspace)
    survivors = column_to_numpy(read_ipc(workspace.store, unit.inputs["survivors"]), "doc")
    pieces = []
    for batch in parquet_batches(workspace.store, unit.inputs["documents"], ["doc", "text"]):
        rows = np.flatnonzero(np.isin(batch.column("doc").to_numpy(), survivors, assume_unique=True))
        if len(rows):
            chosen = batch.take(pa.array(rows))
            docs, texts = chosen.column("doc").to_numpy(), chosen.column("text")
            if workspace.stage_name == "embed":  # examples of the quality head are no documents of the run
                probe_in_child(workspace, docs, texts, partial(_process, encoder))
            fault_point("batch", stage=workspace.stage_name, texts=texts)
            with workspace.timed("prepare"):
                prepared = encoder.prepare(texts)
            pieces.append(pa.table({"doc": chosen.column("doc"), "prepared": prepared}))
    if pieces:
        return pa.concat_tables(pieces)
    nothing = encoder.prepare(pa.array([], pa.large_string()))
    return pa.table({"doc": pa.array([], pa.uint64()), "prepared": nothing})


def _process(encoder: Encoder, texts: pa.Array) -> None:
    """All that the CPU half does to texts, for nothing but to see whether the process lives."""
    fault_point("batch", stage="embed", texts=texts)
    encoder.prepare(texts)


def finish(unit: Unit, workspace: Workspace, prepared: pa.Table) -> None:
    """The other half: vectors of prepared documents, where the model is."""
    encoder = _encoder(workspace)
    prepared = prepared.combine_chunks()
    docs = column_to_numpy(prepared, "doc")
    column = prepared.column("prepared")
    values = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    with workspace.timed("embed"):
        vectors = stored_vectors(encoder.embed(values))
    with ipc_output(workspace, "embeddings", embeddings(encoder.dimensions)) as table:
        for begin in range(0, len(docs), ROWS_A_BATCH):
            rows = slice(begin, begin + ROWS_A_BATCH)
            table.write({"doc": docs[rows], "vector": vectors[rows]})
    workspace.count("documents", len(docs))
    workspace.count("without_vector", len(docs) - int(has_vector(vectors).sum()))
    if workspace.runtime.get("assigning") is not None:
        _assign(unit, workspace, docs, vectors)


def _assign(unit: Unit, workspace: Workspace, docs: NDArray[np.uint64], vectors: NDArray[np.float16]) -> None:
    """Do and commit the unit of ``assign`` that reads what this unit has just written, from memory."""
    assigning = workspace.runtime["assigning"]
    stage = clusters.assign_stage(**assigning["settings"])
    centres = Record.from_json(orjson.dumps(assigning["centres"]))
    following = clusters.assign_unit(
        unit.number,
        unit.inputs["documents"],
        workspace.outputs["embeddings"],
        centres,
        assigning["partitions"],
    )
    flat = pa.array(vectors.reshape(-1), pa.float16())
    table = pa.table({"doc": docs, "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])})
    with workspace.timed("assign"):
        run_unit(stage, following, workspace.store, table)
