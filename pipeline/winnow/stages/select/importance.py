"""Importance toward a target set: features of the target and of the kept corpus, their ratio, a weight a document.

The corpus is read twice, once for its features and once for the weights, since the weights need the features of all; a
read costs less than keeping every document's features would.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.fault_point import fault_point
from winnow.select.importance import divergence, log_ratio
from winnow.select.kernels.grams import gram_counts, gram_weights
from winnow.select.step_configs import ImportanceConfig
from winnow.stages.ingest.isolate import probe_in_child
from winnow.stages.select.examples import read_examples, reading_settings
from winnow.stages.tables import column_to_numpy, ipc_output, parquet_batches, read_ipc, read_listing
from winnow.text.normalise.config import NormaliseConfig
from winnow.text.words import hash_words

COUNTS = pa.schema([("count", pa.int64())])
"""One row a bucket."""
RATIO = pa.schema([("log_ratio", pa.float64())])
"""One row a bucket."""
IMPORTANCE = pa.schema([("doc", pa.uint64()), ("importance", pa.float64()), ("features", pa.int64())])
"""One row a kept document: sum of log ratios, and how many words and word pairs it has."""


def target_stage(config: ImportanceConfig, normalise: NormaliseConfig, batch_bytes: int) -> Stage:
    """Features of the target's files."""
    settings = reading_settings(normalise) | {"buckets": config.buckets}
    return Stage("importance_target", 4, settings, run_target, {"batch_bytes": batch_bytes})


def run_target(unit: Unit, workspace: Workspace) -> None:
    """Count one unit of the target."""
    counts = np.zeros(workspace.settings["buckets"], np.int64)
    for _, _, texts in read_examples(unit, workspace):
        words = hash_words(texts)
        counts += gram_counts(words.hashes, words.offsets, len(counts))
        workspace.count("words", len(words.hashes))
    _write_counts(workspace, counts)


def counts_stage(buckets: int) -> Stage:
    """Features of the kept corpus, part by part."""
    return Stage("importance_counts", 2, {"buckets": buckets}, run_counts)


def run_counts(unit: Unit, workspace: Workspace) -> None:
    """Count one part."""
    counts = np.zeros(workspace.settings["buckets"], np.int64)
    for _, texts in _kept_texts(unit, workspace):
        with workspace.timed("words"):
            words = hash_words(texts)
        with workspace.timed("count"):
            counts += gram_counts(words.hashes, words.offsets, len(counts))
        workspace.count("words", len(words.hashes))
    _write_counts(workspace, counts)


def ratio_stage(config: ImportanceConfig) -> Stage:
    """The barrier: one unit that adds all counts up."""
    return Stage("importance_ratio", 1, {"buckets": config.buckets, "smoothing": config.smoothing}, run_ratio)


def plan_ratio(target: Json, corpus: Json, counted: list[Record], buckets: int) -> list[Unit]:
    """A single unit; ``target`` and ``corpus`` are where counts are listed."""
    return [Unit(0, {"target": target, "corpus": corpus}, len(counted) * buckets * 8)]


def run_ratio(unit: Unit, workspace: Workspace) -> None:
    """Write the log ratio of every bucket."""
    settings = workspace.settings
    target, corpus = (_sum(workspace, unit.inputs[name]) for name in ("target", "corpus"))
    with ipc_output(workspace, "ratio", RATIO) as table:
        table.write({"log_ratio": log_ratio(target, corpus, settings["smoothing"])})
    workspace.metadata["nats_a_feature"] = divergence(target, corpus, settings["smoothing"])
    workspace.count("target_features", target.sum())
    workspace.count("corpus_features", corpus.sum())


def weights_stage(buckets: int) -> Stage:
    """A weight for every kept document."""
    return Stage("importance", 2, {"buckets": buckets}, run_weights)


def plan_weights(units: list[Unit], ratio: Record) -> list[Unit]:
    """The units of the counts, each with the ratio."""
    reference = ratio.outputs["ratio"].reference()
    return [Unit(unit.number, unit.inputs | {"ratio": reference}, unit.work_bytes) for unit in units]


def run_weights(unit: Unit, workspace: Workspace) -> None:
    """Weigh one part."""
    ratio = np.ascontiguousarray(column_to_numpy(read_ipc(workspace.store, unit.inputs["ratio"]), "log_ratio"))
    with ipc_output(workspace, "importance", IMPORTANCE) as table:
        for docs, texts in _kept_texts(unit, workspace):
            with workspace.timed("words"):
                words = hash_words(texts)
            with workspace.timed("weigh"):
                importance = gram_weights(words.hashes, words.offsets, ratio)
            number = np.diff(words.offsets)
            features = number + np.maximum(number - 1, 0)
            table.write({"doc": docs, "importance": importance, "features": features})
            workspace.count("documents", len(docs))
            workspace.count("without_words", (number == 0).sum())


def _kept_texts(unit: Unit, workspace: Workspace) -> Iterator[tuple[NDArray[np.uint64], pa.Array]]:
    """Docs uint64[B] and texts large_string[B] of a part's kept documents, row group by row group."""
    survivors = column_to_numpy(read_ipc(workspace.store, unit.inputs["survivors"]), "doc")
    for batch in parquet_batches(workspace.store, unit.inputs["documents"], ["doc", "text"]):
        docs = batch.column("doc").to_numpy()
        kept = np.isin(docs, survivors, assume_unique=True)
        if kept.any():
            texts = batch.column("text")
            if not kept.all():
                docs, texts = docs[kept], texts.take(pa.array(np.flatnonzero(kept)))
            probe_in_child(workspace, docs, texts, partial(_process, workspace))
            fault_point("batch", stage=workspace.stage_name, texts=texts)
            yield docs, texts


def _process(workspace: Workspace, texts: pa.Array) -> None:
    """What both reads do to texts, for nothing but to see whether the process lives."""
    fault_point("batch", stage=workspace.stage_name, texts=texts)
    words = hash_words(texts)
    gram_counts(words.hashes, words.offsets, workspace.settings["buckets"])


def _write_counts(workspace: Workspace, counts: NDArray[np.int64]) -> None:
    with ipc_output(workspace, "counts", COUNTS) as table:
        table.write({"count": counts})


def _sum(workspace: Workspace, listing: Json) -> NDArray[np.int64]:
    counts = np.zeros(workspace.settings["buckets"], np.int64)
    for entry in read_listing(workspace.store, listing):
        counts += column_to_numpy(read_ipc(workspace.store, entry), "count")
    return counts
