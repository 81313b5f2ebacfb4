"""A seeded sample of the cleaned text: what a vocabulary is trained on, and what it is judged by."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.records import Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.shards.order import keyed_hash, unit_interval
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import column_to_numpy, ipc_output, parquet_batches, read_ipc, read_parquet

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


def plan(parts: list[Part], decided: list[Record]) -> list[Unit]:
    """One unit a part."""
    return [
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


def run(unit: Unit, workspace: Workspace) -> None:
    """Write the part's drawn documents."""
    settings, store, inputs = workspace.settings, workspace.store, unit.inputs
    survivors = column_to_numpy(read_ipc(store, inputs["survivors"]), "doc")
    place = draw(survivors, settings["seed"])
    drawn = survivors[place < settings["share"] + settings["held_out_share"]]
    signals = read_parquet(store, inputs["signals"], ["doc", "language"]).combine_chunks()
    measured, language = column_to_numpy(signals, "doc"), signals.column("language").combine_chunks()
    with ipc_output(workspace, "sample", SAMPLE) as table:
        batches = parquet_batches(store, inputs["documents"], ["doc", "source", "text"]) if len(drawn) else ()
        for batch in batches:
            docs = batch.column("doc").to_numpy()
            rows = np.flatnonzero(np.isin(docs, drawn, assume_unique=True))
            if len(rows) == 0:
                continue
            docs = docs[rows]
            held_out = draw(docs, settings["seed"]) >= settings["share"]
            texts = batch.column("text").take(pa.array(rows))
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


def draw(docs: NDArray[np.uint64], seed: int) -> NDArray[np.float64]:
    """Each document's place in [0, 1): a larger sample holds the smaller one."""
    return unit_interval(keyed_hash((seed, _SAMPLE_TAG), docs[:, None])[:, 0])
