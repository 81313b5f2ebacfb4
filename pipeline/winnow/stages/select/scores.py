"""Scores: all that select decides by, side by side, for every kept document; and the steps that decide."""

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.select.config import SelectConfig
from winnow.select.importance import importance_log_weights
from winnow.select.steps import DROP_RULES, Candidates, SelectionResult, StepsConfig, take_steps
from winnow.shards.packing.windows import tokens_in_rows
from winnow.stages.select.clusters import NO_CLUSTER
from winnow.stages.tables import (
    column_to_numpy,
    exchange_output,
    list_lengths,
    parquet_output,
    read_ipc,
    read_listing,
    read_parquet,
    read_partition,
)
from winnow.storage.store import Store

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


def steps_of(config: SelectConfig) -> StepsConfig:
    """The settings of the steps that look at scores."""
    quality, importance = config.quality, config.importance
    return StepsConfig(
        threshold=quality.threshold if quality else None,
        drop_share=config.prototypes.drop_share if config.prototypes else None,
        sample=config.sample,
        importance=importance is not None,
        max_features=importance.max_features if importance else None,
        quality_temperature=quality.temperature if quality and config.sample else None,
    )


def sample_stage(config: SelectConfig, sources: list[str]) -> Stage:
    """One unit: clusters and the budget are looked at as wholes (about 100 bytes a document in memory)."""
    return Stage("sample", 3, {"steps": steps_of(config).model_dump(), "sources": sources}, run_sample)


def plan_sample(scores: Json, scored: list[Record], starts: Json) -> list[Unit]:
    """A single unit. ``starts`` lists the first document of every part."""
    return [Unit(0, {"scores": scores, "starts": starts}, total(scored, "documents") * 40)]


def run_sample(unit: Unit, workspace: Workspace) -> None:
    """Take the steps; send what is left out back to its part, with its value and the limit."""
    config = StepsConfig.model_validate_json(orjson.dumps(workspace.settings["steps"]))
    tables = read_listing(workspace.store, unit.inputs["scores"])
    candidates = candidates_of(workspace.store, tables, config)
    with workspace.timed("draw"):
        result = take_steps(candidates, config, shares_of(config, workspace.settings["sources"]))
    out = np.flatnonzero(result.rule >= 0)
    starts = np.array([e["first_doc"] for e in read_listing(workspace.store, unit.inputs["starts"])], np.uint64)
    part = np.searchsorted(starts, candidates.docs[out], side="right") - 1
    drops: dict[str, NDArray[Any]] = {
        "doc": candidates.docs[out],
        "rule": result.rule[out].astype(np.uint8),
        "value": result.value[out],
        "threshold": result.limit[out],
    }
    exchange_output(workspace, "drops", part, drops, len(starts))
    _count(workspace, candidates, result)


def shares_of(config: StepsConfig, sources: list[str]) -> NDArray[np.float64] | None:
    """float64[sources] of the budget in the order of ``sources``; None where it has no shares."""
    if config.sample is None or config.sample.shares is None:
        return None
    return np.array([config.sample.shares[name] for name in sources])


def candidates_of(store: Store, tables: list[Json], config: StepsConfig) -> Candidates:
    """What semantic dedup left, with the columns that some step looks at. ``tables`` are the scores, part by part."""
    names = ["doc", "source", "tokens", "cluster"]
    names += ["centre_cosine"] if config.drop_share is not None else []
    names += ["importance", "features"] if config.importance else []
    names += ["quality"] if config.threshold is not None or config.quality_temperature is not None else []
    pieces: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    for entry in tables:
        table = read_parquet(store, entry, [*names, "stays"])
        stays = column_to_numpy(table, "stays")
        for name in names:
            pieces[name].append(column_to_numpy(table, name)[stays])  # a null becomes NaN
    columns = {name: np.concatenate(values) for name, values in pieces.items()}
    log_weight = None
    if config.importance:
        log_weight = importance_log_weights(columns["importance"], columns["features"], config.max_features)
    return Candidates(
        columns["doc"],
        columns["source"],
        columns["tokens"],
        columns["cluster"],
        columns.get("centre_cosine"),
        log_weight,
        columns.get("quality"),
    )


def _count(workspace: Workspace, candidates: Candidates, result: SelectionResult) -> None:
    """Documents and tokens, in all and by step and source."""
    tokens, taken = candidates.tokens, result.rule < 0
    workspace.count("documents", len(tokens))
    workspace.count("tokens", int(tokens.sum()))
    for step, seen in result.seen.items():
        name = DROP_RULES[step].removeprefix("select.")
        workspace.count(f"{name}/documents", seen.sum())
        workspace.count(f"{name}/tokens", int(tokens[seen].sum()))
        out = result.rule == step
        workspace.count(f"{name}/documents_out", out.sum())
        workspace.count(f"{name}/tokens_out", int(tokens[out].sum()))
    workspace.count("taken_documents", taken.sum())
    workspace.count("taken_tokens", int(tokens[taken].sum()))
    for place, name in enumerate(workspace.settings["sources"]):
        mine = candidates.source == place
        workspace.count(f"tokens/{name}", int(tokens[mine].sum()))
        workspace.count(f"taken_tokens/{name}", int(tokens[taken & mine].sum()))
