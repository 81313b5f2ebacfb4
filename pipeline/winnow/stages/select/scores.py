"""Scores: all that select decides by, side by side, for every kept document."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.shards.packing.windows import tokens_in_rows
from winnow.stages.select.clusters import NO_CLUSTER
from winnow.stages.tables import (
    column_to_numpy,
    list_lengths,
    parquet_output,
    read_ipc,
    read_parquet,
    read_partition,
)

SCORES = pa.schema(
    [
        ("doc", pa.uint64()),
        ("source", pa.uint16()),  # position of the source in the config
        ("tokens", pa.int64()),  # in the shards: all copies, with their ends of document
        ("cluster", pa.int32()),  # -1 without a vector
        ("centre_cosine", pa.float32()),  # null without a vector
        ("importance", pa.float64()),  # sum of log ratios toward the target set; null where that is off
        ("features", pa.int64()),  # words and word pairs that it is a sum over; null where that is off
        ("quality", pa.float64()),  # 0 to 1; null where that is off, and without a vector
        ("stays", pa.bool_()),  # no semantic duplicate
    ]
)
"""One row a document that dedup kept."""


def scores_stage(rows: Json) -> Stage:
    """Map side: one table a part."""
    return Stage("scores", 2, {"rows": rows} if rows else {}, run_scores)


def plan_scores(
    tokenised: list[Record],
    decided: list[Record],
    filtered: list[Record],
    assigned: list[Record] | None,
    semantic: Json | None,
    importance: list[Record] | None = None,
    quality: list[Record] | None = None,
) -> list[Unit]:
    """One unit a part.

    Clusters (``assigned``), semantic duplicates (``semantic``), ``importance`` and ``quality`` are None
    where that is off.
    """

    def of_part(records: list[Record] | None, place: int, output: str) -> Json | None:
        return None if records is None else records[place].outputs[output].reference()

    return [
        Unit(
            record.number,
            {
                "tokens": record.outputs["tokens"].reference(),
                "decisions": decided[place].outputs["decisions"].reference(),
                "verdicts": filtered[place].outputs["verdicts"].reference(),
                "clusters": of_part(assigned, place, "clusters"),
                "importance": of_part(importance, place, "importance"),
                "quality": of_part(quality, place, "quality"),
                "semantic": semantic,
                "part": place,
            },
            record.outputs["tokens"].rows * 64,
        )
        for place, record in enumerate(tokenised)
    ]


def run_scores(unit: Unit, workspace: Workspace) -> None:
    """Join the part's tables."""
    store, inputs = workspace.store, unit.inputs
    tokenised = read_ipc(store, inputs["tokens"])
    docs = column_to_numpy(tokenised, "doc")
    length = list_lengths(tokenised, "ids")
    decisions = read_parquet(store, inputs["decisions"], ["doc", "copies"])
    verdicts = read_parquet(store, inputs["verdicts"], ["doc", "source"])
    row = np.searchsorted(column_to_numpy(decisions, "doc"), docs)
    copies = column_to_numpy(decisions, "copies")[row].astype(np.int64)
    cluster, cosine = np.full(len(docs), NO_CLUSTER, np.int32), np.full(len(docs), np.nan, np.float32)
    importance, quality, features = np.full(len(docs), np.nan), np.full(len(docs), np.nan), None
    if (clusters := _same_documents(workspace, inputs["clusters"], docs)) is not None:
        cluster, cosine = column_to_numpy(clusters, "cluster"), column_to_numpy(clusters, "centre_cosine")
    if (weights := _same_documents(workspace, inputs["importance"], docs)) is not None:
        importance, features = column_to_numpy(weights, "importance"), column_to_numpy(weights, "features")
    if (scored := _same_documents(workspace, inputs["quality"], docs)) is not None:
        quality = column_to_numpy(scored, "quality")
    stays = np.ones(len(docs), bool)
    if inputs["semantic"] is not None:
        duplicates = read_partition(store, inputs["semantic"], inputs["part"])
        stays[np.searchsorted(docs, duplicates["doc"])] = False
    tokens = copies * tokens_in_rows(length + 1, workspace.settings.get("rows", {}))
    plain = ("doc", "tokens", "centre_cosine", "importance", "features", "quality")
    with parquet_output(workspace, "scores", SCORES, plain=plain) as table:
        table.write(
            {
                "doc": docs,
                "source": column_to_numpy(verdicts, "source")[np.searchsorted(column_to_numpy(verdicts, "doc"), docs)],
                "tokens": tokens,
                "cluster": cluster,
                "centre_cosine": pa.array(cosine, pa.float32(), mask=np.isnan(cosine)),
                "importance": pa.array(importance, pa.float64(), mask=np.isnan(importance)),
                "features": pa.nulls(len(docs), pa.int64()) if features is None else features,
                "quality": pa.array(quality, pa.float64(), mask=np.isnan(quality)),
                "stays": stays,
            }
        )
    workspace.count("documents", len(docs))
    workspace.count("tokens", tokens.sum())
    workspace.count("stay", stays.sum())
    workspace.count("stay_tokens", tokens[stays].sum())


def _same_documents(workspace: Workspace, reference: Json | None, docs: NDArray[np.uint64]) -> pa.Table | None:
    """A table with a row for each of ``docs``; None where there is none.

    Raises:
        ValueError: it holds other documents.
    """
    if reference is None:
        return None
    table = read_ipc(workspace.store, reference)
    if not np.array_equal(column_to_numpy(table, "doc"), docs):
        raise ValueError(f"{reference['path']}: not the documents that were tokenised; it was altered")
    return table
