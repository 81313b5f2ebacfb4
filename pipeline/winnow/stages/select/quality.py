"""The quality head: example texts, their vectors, the fit, and a quality for every embedded document.

Vectors of examples come from the stage that embeds the corpus, under another name: the same code on the same devices.
"""

from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.dedup.exact import text_hashes
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.errors import ExamplesError
from winnow.select.encoder_config import EncoderConfig
from winnow.select.quality import BINS, GRID, Head, fit_head, histogram, usable_examples, validate
from winnow.select.step_configs import POSITIVE, QualityConfig
from winnow.select.vectors import has_vector
from winnow.stages.ingest.measure import Part
from winnow.stages.select import embed
from winnow.stages.select.examples import read_examples, reading_settings
from winnow.stages.tables import column_to_numpy, ipc_output, list_column_to_2d, parquet_output, read_ipc, read_listing
from winnow.storage.config import StorageConfig
from winnow.storage.draft import Draft
from winnow.text.normalise.config import NormaliseConfig

DOCUMENTS = pa.schema([("doc", pa.uint64()), ("text", pa.large_string())])
SURVIVORS = pa.schema([("doc", pa.uint64())])
EXAMPLES = pa.schema(
    [("doc", pa.uint64()), ("positive", pa.bool_()), ("text_high", pa.uint64()), ("text_low", pa.uint64())]
)
"""One row an example: number of its own, class, hash of its text."""
QUALITY = pa.schema([("doc", pa.uint64()), ("quality", pa.float64())])
"""One row a kept document, NaN without a vector."""


def examples_stage(normalise: NormaliseConfig, batch_bytes: int) -> Stage:
    """Texts of the examples, in the form in which the corpus is embedded."""
    return Stage("quality_examples", 4, reading_settings(normalise), run_examples, {"batch_bytes": batch_bytes})


def run_examples(unit: Unit, workspace: Workspace) -> None:
    """Write documents, which of them are embedded (all), and what the fit needs to know of each."""
    with (
        parquet_output(workspace, "documents", DOCUMENTS, plain=("doc", "text")) as documents,
        ipc_output(workspace, "survivors", SURVIVORS) as survivors,
        ipc_output(workspace, "examples", EXAMPLES) as examples,
    ):
        for setting, docs, texts in read_examples(unit, workspace):
            hashes = text_hashes(texts)
            documents.write({"doc": docs, "text": texts})
            survivors.write({"doc": docs})
            positive = np.full(len(docs), setting == POSITIVE)
            examples.write({"doc": docs, "positive": positive, "text_high": hashes[:, 0], "text_low": hashes[:, 1]})


def embed_stage(config: EncoderConfig, gpus: bool, storage: StorageConfig) -> Stage:
    """The stage ``embed`` under another name."""
    return replace(embed.stage(config, gpus, storage), name="quality_embed")


def plan_embed(read: list[Record]) -> list[Unit]:
    """One unit a unit of examples; numbered, because units without a readable example hold the same, nothing."""
    return [
        Unit(
            record.number,
            {name: record.outputs[name].reference() for name in ("documents", "survivors")} | {"unit": record.number},
            record.outputs["documents"].bytes,
        )
        for record in read
    ]


def fit_stage(config: QualityConfig, dimensions: int) -> Stage:
    """One unit."""
    settings = config.model_dump(include={"validation_share", "l2", "seed"}) | {"dimensions": dimensions}
    return Stage("quality_fit", 1, settings, run_fit)


def plan_fit(examples: Json, embeddings: Json, embedded: list[Record]) -> list[Unit]:
    """A single unit; ``examples`` and ``embeddings`` are listed in the same order."""
    size = sum(record.outputs["embeddings"].bytes for record in embedded)
    return [Unit(0, {"examples": examples, "embeddings": embeddings}, size * 4)]


def run_fit(unit: Unit, workspace: Workspace) -> None:
    """Fit and validate. Too few examples are noted under ``refused``, for the run to tell; then there is no head."""
    settings, store = workspace.settings, workspace.store
    tables = [read_ipc(store, entry) for entry in read_listing(store, unit.inputs["examples"])]
    positive = np.concatenate([column_to_numpy(table, "positive") for table in tables])
    text_hash = np.concatenate(
        [np.stack([column_to_numpy(table, name) for name in ("text_high", "text_low")], axis=1) for table in tables]
    )
    vectors = np.concatenate(
        [
            list_column_to_2d(read_ipc(store, entry), "vector", settings["dimensions"])
            for entry in read_listing(store, unit.inputs["embeddings"])
        ]
    )
    try:
        usable = usable_examples(
            positive, text_hash, has_vector(vectors), settings["validation_share"], settings["seed"]
        )
    except ExamplesError as error:
        workspace.metadata["refused"] = str(error)
        return
    with workspace.timed("fit"):
        head, converged = fit_head(vectors[usable.training], positive[usable.training], settings["l2"])
    validation = validate(head.judge(vectors[usable.validation]), positive[usable.validation])
    data = head.to_json()

    def write(draft: Draft) -> int:
        draft.write(data)
        return 1

    workspace.write("head.json", write)
    workspace.metadata |= {
        "auc": validation.auc,
        "converged": converged,
        "thresholds": GRID.tolist(),
        "precision": [None if np.isnan(value) else value for value in validation.precision.tolist()],
        "recall": validation.recall.tolist(),
    }
    for reason, number in usable.left_aside.items():
        workspace.count(f"left_aside/{reason}", number)
    for name, rows in (("training", usable.training), ("validation", usable.validation)):
        workspace.count(f"{name}/positive", (rows & positive).sum())
        workspace.count(f"{name}/negative", (rows & ~positive).sum())


def judge_stage(dimensions: int) -> Stage:
    """A quality for every embedded document."""
    return Stage("quality", 1, {"dimensions": dimensions}, run_judge)


def plan_judge(parts: list[Part], embedded: list[Record], fitted: Record) -> list[Unit]:
    """One unit a part; named by its documents, too, because parts of which nothing was kept have equal embeddings."""
    head = fitted.outputs["head"].reference()
    return [
        Unit(
            record.number,
            {"documents": part.documents, "embeddings": record.outputs["embeddings"].reference(), "head": head},
            record.outputs["embeddings"].bytes,
        )
        for part, record in zip(parts, embedded, strict=True)
    ]


def run_judge(unit: Unit, workspace: Workspace) -> None:
    """Judge one part; notes how many documents lie in each hundredth of quality."""
    table = read_ipc(workspace.store, unit.inputs["embeddings"])
    vectors = list_column_to_2d(table, "vector", workspace.settings["dimensions"])
    head = Head.from_json(workspace.store.read(unit.inputs["head"]["path"]))
    with workspace.timed("judge"):
        quality = head.judge(vectors)
    with ipc_output(workspace, "quality", QUALITY) as output:
        output.write({"doc": column_to_numpy(table, "doc"), "quality": quality})
    workspace.metadata["histogram"] = histogram(quality).tolist()
    workspace.count("documents", len(quality))
    workspace.count("without_quality", np.isnan(quality).sum())


def histogram_of(records: list[Record]) -> NDArray[np.int64]:
    """int64[BINS]: documents of the whole corpus in each hundredth of quality."""
    counts = [np.array(record.metadata["histogram"], np.int64) for record in records]
    return np.sum(counts, axis=0) if counts else np.zeros(BINS, np.int64)
