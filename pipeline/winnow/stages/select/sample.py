"""The sample: quality, prototypes and the budget, a part a unit; and prototypes, some clusters a unit.

The first step looks at each document alone, prototypes at whole clusters: prototype_clusters sends their members to
the units of prototypes, which send back what is nearest to the centres. Where the budget ends is the work of
:mod:`winnow.stages.select.sample_ranges`. `sample` puts all together.
"""

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.exchange import Columns, partition_of_hash
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.select.config import SelectConfig
from winnow.select.importance import importance_log_weights
from winnow.select.prototypes import nearest_to_centre
from winnow.select.steps import (
    BUDGET,
    DROP_RULES,
    PROTOTYPES,
    Candidates,
    SelectionResult,
    StepsConfig,
    leave_out_low_quality,
)
from winnow.shards.order import keyed_hash
from winnow.stages.tables import (
    column_to_numpy,
    exchange_output,
    ipc_output,
    read_listing,
    read_parquet,
    read_partition,
)
from winnow.storage.store import Store

_DROPS = pa.schema([("doc", pa.uint64()), ("rule", pa.uint8()), ("value", pa.float32()), ("threshold", pa.float32())])
_CLUSTERS = 0x636C7573746572  # "cluster": which unit a cluster goes to


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


def shares_of(config: StepsConfig, sources: list[str]) -> NDArray[np.float64] | None:
    """float64[sources] of the budget in the order of ``sources``; None where it has no shares."""
    if config.sample is None or config.sample.shares is None:
        return None
    return np.array([config.sample.shares[name] for name in sources])


def clusters_stage(config: SelectConfig) -> Stage:
    """Members of clusters, sent to where their cluster is looked at."""
    asked = steps_of(config)
    needed = asked.model_copy(
        update={"sample": None, "importance": False, "max_features": None, "quality_temperature": None}
    )
    return Stage("prototype_clusters", 1, {"steps": needed.model_dump()}, run_clusters)


def plan_clusters(scored: list[Record], partitions: int) -> list[Unit]:
    """One unit a part."""
    return [
        Unit(
            number,
            {"scores": _scores(record), "partitions": partitions, "part": number},
            record.counters["documents"] * 40,
        )
        for number, record in enumerate(scored)
    ]


def run_clusters(unit: Unit, workspace: Workspace) -> None:
    """What the first step leaves of a part, by cluster; documents without a vector are in none."""
    candidates, result = before_budget(workspace, unit.inputs)
    assert candidates.centre_cosine is not None
    rows = np.flatnonzero((result.rule < 0) & (candidates.cluster >= 0))
    cluster = candidates.cluster[rows]
    place = spread(cluster.astype(np.uint64)[:, None], unit.inputs["partitions"])
    order = np.argsort(place, kind="stable")
    docs, cosine = candidates.docs[rows], candidates.centre_cosine[rows]
    members: Columns = {"doc": docs[order], "cluster": cluster[order], "cosine": cosine[order]}
    exchange_output(workspace, "members", place[order], members, unit.inputs["partitions"])


def spread(strata: NDArray[np.uint64], partitions: int) -> NDArray[np.int64]:
    """Partition int64[N] of the strata uint64[N, W] that documents are in; all of a stratum go to the same."""
    return partition_of_hash(keyed_hash((0, _CLUSTERS), strata)[:, 0], partitions)


def prototypes_stage(drop_share: float) -> Stage:
    """The documents nearest to the centres of their clusters."""
    return Stage("prototypes", 1, {"drop_share": drop_share}, run_prototypes)


def plan_prototypes(members: Json, clustered: list[Record], partitions: int, starts: Json) -> list[Unit]:
    """One unit a partition. ``starts`` lists the first document of every part."""
    size = sum(record.outputs["members"].rows for record in clustered) * 16 // partitions
    return [
        Unit(number, {"members": members, "partition": number, "starts": starts}, size) for number in range(partitions)
    ]


def run_prototypes(unit: Unit, workspace: Workspace) -> None:
    """Rank whole clusters; send what is dropped back to its part, with the limit of its cluster."""
    members = read_partition(workspace.store, unit.inputs["members"], unit.inputs["partition"])
    docs, cosine = members["doc"], members["cosine"]
    dropped, cut = nearest_to_centre(docs, members["cluster"], cosine, workspace.settings["drop_share"])
    send_back(workspace, unit.inputs["starts"], docs[dropped], {"value": cosine[dropped], "threshold": cut[dropped]})


def send_back(workspace: Workspace, starts: Json, docs: NDArray[np.uint64], columns: dict[str, NDArray[Any]]) -> None:
    """Documents that are left out, sent to their parts; ``starts`` lists the first document of every part."""
    begins = np.array([entry["first_doc"] for entry in read_listing(workspace.store, starts)], np.uint64)
    order = np.argsort(docs)
    part = np.searchsorted(begins, docs[order], side="right") - 1
    sorted_columns = {name: column[order] for name, column in columns.items()}
    exchange_output(workspace, "drops", part, {"doc": docs[order], **sorted_columns}, len(begins))


def sample_stage(config: SelectConfig, sources: list[str]) -> Stage:
    """What each part loses by the steps, and why."""
    return Stage("sample", 4, {"steps": steps_of(config).model_dump(), "sources": sources}, run_sample)


def plan_sample(scored: list[Record], prototypes: Json | None, limits: Json) -> list[Unit]:
    """One unit a part.

    Args:
        scored: records of the scores.
        prototypes: listing of those that are dropped; None where that is off.
        limits: ``drops``, a listing of what does not fit the budget, and ``water``, where it ends; empty where
            everything fits.
    """
    return [
        Unit(
            number,
            {"scores": _scores(record), "prototypes": prototypes, **limits, "part": number},
            record.counters["documents"] * 40,
        )
        for number, record in enumerate(scored)
    ]


def run_sample(unit: Unit, workspace: Workspace) -> None:
    """Take the steps; list what is left out, with its value and the limit."""
    inputs = unit.inputs
    candidates, result = before_budget(workspace, inputs)
    if steps_in(workspace).sample is not None:
        result.see(BUDGET)
        if "drops" in inputs:
            found = read_partition(workspace.store, inputs["drops"], inputs["part"])
            result.drop(BUDGET, np.searchsorted(candidates.docs, found["doc"]), found["value"], inputs["water"])
    out = np.flatnonzero(result.rule >= 0)
    with ipc_output(workspace, "drops", _DROPS) as table:
        table.write(
            {
                "doc": candidates.docs[out],
                "rule": result.rule[out].astype(np.uint8),
                "value": result.value[out],
                "threshold": result.limit[out],
            }
        )
    _count(workspace, candidates, result)


def before_budget(workspace: Workspace, inputs: Json) -> tuple[Candidates, SelectionResult]:
    """A part's documents, and what became of them before the budget.

    Args:
        workspace: its settings hold ``steps``.
        inputs: ``scores``; and ``prototypes``, a listing of those that are dropped, of which ``part`` is the part's,
            where they have been found and that is on.
    """
    config = steps_in(workspace)
    candidates = candidates_of(workspace.store, [inputs["scores"]], config)
    result = SelectionResult.of(len(candidates.docs))
    leave_out_low_quality(candidates, config, result)
    if inputs.get("prototypes") is not None:
        result.see(PROTOTYPES)
        found = read_partition(workspace.store, inputs["prototypes"], inputs["part"])
        rows = np.searchsorted(candidates.docs, found["doc"])
        result.drop(PROTOTYPES, rows, found["value"], found["threshold"])
    return candidates, result


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


def steps_in(workspace: Workspace) -> StepsConfig:
    """The settings ``steps`` of a stage."""
    return StepsConfig.model_validate_json(orjson.dumps(workspace.settings["steps"]))


def _scores(record: Record) -> Json:
    return record.outputs["scores"].reference()


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
