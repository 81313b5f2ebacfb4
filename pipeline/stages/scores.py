"""Scores: all that a sample is drawn from, side by side, for every kept document; and the draw itself."""

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.engine.records import Json, Record, Unit, total
from pipeline.engine.stage import Stage, Workspace
from pipeline.select.sampling import SampleConfig, draw_sample
from pipeline.stages.clusters import NO_CLUSTER
from pipeline.stages.tables import (
    exchange_output,
    numbers,
    parquet_output,
    read_ipc,
    read_listing,
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
        ("stays", pa.bool_()),  # no semantic duplicate
    ]
)
"""One row a document that dedup kept."""

DROP_RULES = ("select.budget",)
"""By which step of select a document was left out: names in the ledger's column ``rule``."""


def scores_stage() -> Stage:
    """Map side: one table a part."""
    return Stage("scores", 1, {}, run_scores)


def plan_scores(
    tokenised: list[Record],
    decided: list[Record],
    filtered: list[Record],
    assigned: list[Record] | None,
    fates: Json | None,
) -> list[Unit]:
    """One unit a part; ``assigned`` and ``fates`` are None where nothing looks at vectors."""
    return [
        Unit(
            record.number,
            {
                "tokens": record.outputs["tokens"].reference(),
                "decisions": decided[place].outputs["decisions"].reference(),
                "verdicts": filtered[place].outputs["verdicts"].reference(),
                "clusters": None if assigned is None else assigned[place].outputs["clusters"].reference(),
                "fates": fates,
                "part": place,
            },
            record.outputs["tokens"].rows * 64,
        )
        for place, record in enumerate(tokenised)
    ]


def run_scores(unit: Unit, workspace: Workspace) -> None:
    """Join the part's tables."""
    store, description = workspace.store, unit.description
    tokens = read_ipc(store, description["tokens"])
    docs = numbers(tokens, "doc")
    lengths = [np.diff(chunk.offsets.to_numpy()) for chunk in tokens.column("ids").chunks]
    length = np.concatenate(lengths) if lengths else np.empty(0, np.int64)
    decisions = read_parquet(store, description["decisions"], ["doc", "copies"])
    verdicts = read_parquet(store, description["verdicts"], ["doc", "source"])
    row = np.searchsorted(numbers(decisions, "doc"), docs)
    copies = numbers(decisions, "copies")[row].astype(np.int64)
    cluster, cosine = np.full(len(docs), NO_CLUSTER, np.int32), np.full(len(docs), np.nan, np.float32)
    if description["clusters"] is not None:
        clusters = read_ipc(store, description["clusters"])
        if not np.array_equal(numbers(clusters, "doc"), docs):
            raise ValueError(
                f"{description['clusters']['path']}: not the documents that were tokenised; it was altered"
            )
        cluster, cosine = numbers(clusters, "cluster"), numbers(clusters, "centre_cosine")
    stays = np.ones(len(docs), bool)
    if description["fates"] is not None:
        fates = read_partition(store, description["fates"], description["part"])
        stays[np.searchsorted(docs, fates["doc"])] = False
    with parquet_output(workspace, "scores", SCORES, plain=("doc", "tokens", "centre_cosine")) as table:
        table.write(
            {
                "doc": docs,
                "source": numbers(verdicts, "source")[np.searchsorted(numbers(verdicts, "doc"), docs)],
                "tokens": copies * (length + 1),
                "cluster": cluster,
                "centre_cosine": pa.array(cosine, pa.float32(), mask=np.isnan(cosine)),
                "stays": stays,
            }
        )
    workspace.count("documents", len(docs))
    workspace.count("stay", stays.sum())


def sample_stage(config: SampleConfig, sources: list[str]) -> Stage:
    """One unit: the draw looks at all documents (about 60 bytes each in memory)."""
    return Stage("sample", 1, {"config": config.model_dump(), "sources": sources}, run_sample)


def plan_sample(scores: Json, scored: list[Record], starts: Json) -> list[Unit]:
    """A single unit. ``starts`` lists the first document of every part."""
    return [Unit(0, {"scores": scores, "starts": starts}, total(scored, "documents") * 40)]


def run_sample(unit: Unit, workspace: Workspace) -> None:
    """Draw; send what is left out back to its part, with its level and the level of the budget."""
    config = SampleConfig.model_validate_json(orjson.dumps(workspace.settings["config"]))
    columns: dict[str, list[NDArray[np.generic]]] = {name: [] for name in ("doc", "source", "tokens", "cluster")}
    for entry in read_listing(workspace.store, unit.description["scores"]):
        table = read_parquet(workspace.store, entry, [*columns, "stays"])
        stays = numbers(table, "stays")
        for name, pieces in columns.items():
            pieces.append(numbers(table, name)[stays])
    docs, source, tokens, cluster = (np.concatenate(pieces) for pieces in columns.values())
    shares = None
    if config.shares is not None:
        shares = np.array([config.shares[name] for name in workspace.settings["sources"]])
    with workspace.timed("draw"):
        draw = draw_sample(docs, tokens, source, cluster, None, config, shares)
    out = np.flatnonzero(~draw.taken)
    starts = np.array([e["first_doc"] for e in read_listing(workspace.store, unit.description["starts"])], np.uint64)
    part = np.searchsorted(starts, docs[out], side="right") - 1
    drops = {
        "doc": docs[out],
        "rule": np.full(len(out), DROP_RULES.index("select.budget"), np.uint8),
        "value": draw.level[out].astype(np.float32),
        "threshold": np.full(len(out), draw.water, np.float32),
    }
    exchange_output(workspace, "drops", part, drops, len(starts))
    workspace.count("documents", len(docs))
    workspace.count("tokens", int(tokens.sum()))
    workspace.count("taken_documents", draw.taken.sum())
    workspace.count("taken_tokens", int(tokens[draw.taken].sum()))
    for place, name in enumerate(workspace.settings["sources"]):
        workspace.count(f"taken_tokens/{name}", int(tokens[draw.taken & (source == place)].sum()))
