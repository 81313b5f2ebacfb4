"""A seeded sample of the cleaned text: what a vocabulary is trained on, and what it is judged by."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.shards.order import keyed_hash, unit_interval
from winnow.sources.source import STRUCTURE
from winnow.stages.edits import edited_columns, read_edits, with_edits
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import column_to_numpy, ipc_output, parquet_batches, read_ipc, read_parquet
from winnow.storage.store import Store

_STRUCTURE = f"keep.{STRUCTURE}"
_SAMPLE_TAG = 0x766F636162  # "vocab": the draw shares no key with splits, order or source sampling

SAMPLE = pa.schema(
    [
        ("doc", pa.uint64()),
        ("held_out", pa.bool_()),  # judges the vocabulary and does not train it
        ("source", pa.string()),
        ("language", pa.string()),
        ("text", pa.large_string()),
    ]
)
"""Drawn documents, in document order."""


def stage(seed: int, share: float, held_out_share: float) -> Stage:
    """Draw ``share`` of the kept documents, and ``held_out_share`` of them besides."""
    return Stage("text_sample", 1, {"seed": seed, "share": share, "held_out_share": held_out_share}, run)


def plan(parts: list[Part], decided: list[Record], edits: list[list[Json]]) -> list[Unit]:
    """One unit a part."""
    units = [
        Unit(
            part.number,
            {
                "documents": part.documents,
                "signals": part.signals,
                "survivors": record.outputs["survivors"].reference(),
            },
            part.text_bytes,
        )
        for part, record in zip(parts, decided, strict=True)
    ]
    return with_edits(units, edits)


def run(unit: Unit, workspace: Workspace) -> None:
    """Write the part's drawn documents."""
    settings, store, inputs = workspace.settings, workspace.store, unit.inputs
    survivors = column_to_numpy(read_ipc(store, inputs["survivors"]), "doc")
    place = draw(survivors, settings["seed"])
    drawn = survivors[place < settings["share"] + settings["held_out_share"]]
    signals = read_parquet(store, inputs["signals"], ["doc", "language"]).combine_chunks()
    measured, language = column_to_numpy(signals, "doc"), signals.column("language").combine_chunks()
    with ipc_output(workspace, "sample", SAMPLE) as table:
        edits = read_edits(store, inputs)
        batches = parquet_batches(store, inputs["documents"], _columns(store, inputs)) if len(drawn) else ()
        for batch in batches:
            docs = batch.column("doc").to_numpy()
            rows = np.flatnonzero(np.isin(docs, drawn, assume_unique=True))
            if len(rows) == 0:
                continue
            docs = docs[rows]
            held_out = draw(docs, settings["seed"]) >= settings["share"]
            chosen = batch.take(pa.array(rows))
            structures = chosen.column(_STRUCTURE) if _STRUCTURE in chosen.schema.names else None
            texts, _ = edited_columns(docs, chosen.column("text"), structures, edits)
            table.write(
                {
                    "doc": docs,
                    "held_out": held_out,
                    "source": batch.column("source").take(pa.array(rows)),
                    "language": language.take(pa.array(np.searchsorted(measured, docs))),
                    "text": texts,
                }
            )
            workspace.count("text_bytes", texts.nbytes)
            workspace.count("documents", len(docs))


def _columns(store: Store, inputs: Json) -> list[str]:
    """What is read of the documents: their structures, too, where edits may be made in them."""
    with pq.ParquetFile(store.columns_of(inputs["documents"]["path"])) as file:
        structured = "edits" in inputs and _STRUCTURE in file.schema_arrow.names
    return ["doc", "source", "text", *([_STRUCTURE] if structured else [])]


def draw(docs: NDArray[np.uint64], seed: int) -> NDArray[np.float64]:
    """Each document's place in [0, 1): a larger sample holds the smaller one."""
    return unit_interval(keyed_hash((seed, _SAMPLE_TAG), docs[:, None])[:, 0])
