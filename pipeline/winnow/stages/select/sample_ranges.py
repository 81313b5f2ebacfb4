"""Where the budget ends: the order that the sample is drawn in, cut into ranges, so that no unit knows all documents.

Five stages: sample_draw (a unit a part: keys), sample_levels (a unit some clusters: levels inside them; only where
clusters are balanced), sample_ranges (a unit what one of those wrote: rows sent to their ranges, and tokens by range),
sample_limit (one unit: it looks at the totals, and at the rows around the limit), sample_places (a unit a range: what
does not fit is sent back to its part). A unit of sample_levels holds whole clusters of a source; all others hold a part
or a range.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.exchange import partitions_for
from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.select.config import SelectConfig
from winnow.select.sample_order import (
    ORDER,
    Limit,
    Ranges,
    Rows,
    Start,
    by_range,
    find_limit,
    in_order,
    levels_of,
    range_starts,
    sortable,
)
from winnow.select.sampling import draw_keys, stratum_levels
from winnow.select.steps import draw_log_weight
from winnow.shards.order import keyed_hash
from winnow.stages.select.sample import before_budget, send_back, spread, steps_in, steps_of
from winnow.stages.tables import (
    column_to_numpy,
    exchange_output,
    ipc_output,
    read_ipc,
    read_listing,
    read_partition,
)

ROW_BYTES = 120
"""Of memory, a row of a range or a partition takes at most."""
_DRAWN_A_RANGE = 64
"""Documents drawn for each range, so that ranges are about as large as each other: within an eighth mostly."""
_DRAW = 0x72616E6765  # "range": which documents are drawn shares no key with their order
_ROWS = pa.schema([("source", pa.uint16()), *((name, pa.uint64()) for name in ORDER[1:]), ("tokens", pa.int64())])
_SUMS = pa.schema([(name, pa.int64()) for name in ("documents", "tokens", "largest")])


def is_balanced(config: SelectConfig) -> bool:
    """Whether clusters are."""
    return config.sample is not None and config.sample.cluster_temperature is not None


def by_source(config: SelectConfig) -> bool:
    """Whether the order looks at sources."""
    return is_balanced(config) or (config.sample is not None and config.sample.shares is not None)


def partitions_of(documents: int, partition_mb: int) -> int:
    """How many ranges, or partitions of clusters, hold so many documents."""
    return partitions_for(documents * ROW_BYTES, partition_mb)


def drawn_one_in(documents: int, partitions: int) -> int:
    """One in so many documents is drawn to tell where ranges begin; none (0) where there is only one."""
    return max(1, documents // (_DRAWN_A_RANGE * partitions)) if partitions > 1 else 0


def draw_stage(config: SelectConfig) -> Stage:
    """Every document with its key, whatever the budget."""
    assert config.sample is not None
    steps = steps_of(config).model_copy(update={"sample": None})
    settings = {"steps": steps.model_dump(), "seed": config.sample.seed, "by_source": by_source(config)}
    return Stage("sample_draw", 1, settings | {"balanced": is_balanced(config)}, run_draw)


def plan_draw(scored: list[Record], prototypes: Json | None, partitions: int) -> list[Unit]:
    """One unit a part. ``prototypes`` lists those that are dropped; None where that is off."""
    shared = {"prototypes": prototypes, "partitions": partitions, "one_in": _one_in(scored, partitions)}
    return [
        Unit(
            number,
            {"scores": record.outputs["scores"].reference(), **shared, "part": number},
            record.counters["documents"] * 40,
        )
        for number, record in enumerate(scored)
    ]


def _one_in(scored: list[Record], partitions: int) -> int:
    return drawn_one_in(total(scored, "stay"), partitions)


def run_draw(unit: Unit, workspace: Workspace) -> None:
    """Draw keys for what quality and prototypes leave."""
    settings, inputs = workspace.settings, unit.inputs
    candidates, result = before_budget(workspace, inputs)
    rows = np.flatnonzero(result.rule < 0)
    weight = draw_log_weight(candidates, steps_in(workspace))
    docs = candidates.docs[rows]
    key = sortable(-draw_keys(docs, None if weight is None else weight[rows], settings["seed"]))
    source = candidates.source[rows].astype(np.uint16) if settings["by_source"] else np.zeros(len(rows), np.uint16)
    found: Rows = {"source": source, "key": key, "doc": docs, "tokens": candidates.tokens[rows]}
    if not settings["balanced"]:
        _write_rows(workspace, found | {"level": np.zeros(len(rows), np.uint64)}, inputs["one_in"])
        return
    cluster = candidates.cluster[rows]
    place = spread(np.stack([source, cluster], axis=1).astype(np.uint64), inputs["partitions"])
    order = np.argsort(place, kind="stable")
    columns = {name: column[order] for name, column in (found | {"cluster": cluster}).items()}
    exchange_output(workspace, "members", place[order], columns, inputs["partitions"])


def _write_rows(workspace: Workspace, rows: Rows, one_in: int) -> None:
    """Write rows, and tell some that are drawn by a hash."""
    with ipc_output(workspace, "rows", _ROWS) as table:
        table.write(rows)
    workspace.count("documents", len(rows["doc"]))
    drawn = np.zeros(0, np.int64)
    if one_in:
        drawn = np.flatnonzero(keyed_hash((0, _DRAW), rows["doc"][:, None])[:, 0] % np.uint64(one_in) == 0)
    workspace.metadata["drawn"] = [
        list(row) for row in zip(*(rows[name][drawn].tolist() for name in ORDER), strict=True)
    ]


def levels_stage(config: SelectConfig) -> Stage:
    """Tokens before each document in its cluster of its source, over the cluster's weight."""
    assert config.sample is not None
    return Stage("sample_levels", 1, {"temperature": config.sample.cluster_temperature}, run_levels)


def plan_levels(members: Json, scored: list[Record], partitions: int) -> list[Unit]:
    """One unit a partition of clusters."""
    size, one_in = total(scored, "stay") * 30 // partitions, _one_in(scored, partitions)
    return [
        Unit(number, {"members": members, "partition": number, "one_in": one_in}, size) for number in range(partitions)
    ]


def run_levels(unit: Unit, workspace: Workspace) -> None:
    """Levels of whole clusters."""
    members = read_partition(workspace.store, unit.inputs["members"], unit.inputs["partition"])
    strata = np.stack([members["source"].astype(np.int32), members["cluster"]], axis=1)
    order = np.lexsort((members["doc"], members["key"]))
    level = stratum_levels(strata, order, members["tokens"], None, workspace.settings["temperature"])
    del members["cluster"]
    _write_rows(workspace, members | {"level": sortable(level)}, unit.inputs["one_in"])


def starts_of(written: list[Record], sources: int, partitions: int) -> list[Json]:
    """Where every range begins, from what the stage before drew."""
    drawn: list[Start] = [tuple(row) for record in written for row in record.metadata["drawn"]]
    return [{"start": list(start)} for start in range_starts(drawn, sources, partitions)]


def ranges_stage() -> Stage:
    """Rows sent to the ranges of the order that they lie in."""
    return Stage("sample_ranges", 1, {}, run_ranges)


def plan_ranges(written: list[Record], starts: Json) -> list[Unit]:
    """One unit a table of rows (its number tells empty ones apart). ``starts`` lists where ranges begin."""
    return [
        Unit(
            number,
            {"rows": record.outputs["rows"].reference(), "starts": starts, "table": number},
            record.counters["documents"] * 34,
        )
        for number, record in enumerate(written)
    ]


def run_ranges(unit: Unit, workspace: Workspace) -> None:
    """Sort; add up by range."""
    table = read_ipc(workspace.store, unit.inputs["rows"])
    starts = _starts(workspace, unit)
    rows, place = by_range({name: column_to_numpy(table, name) for name in _ROWS.names}, starts)
    exchange_output(workspace, "rows", place, rows, len(starts))
    largest = np.zeros(len(starts), np.int64)
    np.maximum.at(largest, place, rows["tokens"])
    tokens = np.zeros(len(starts), np.int64)
    np.add.at(tokens, place, rows["tokens"])
    with ipc_output(workspace, "sums", _SUMS) as out:
        out.write({"documents": np.bincount(place, minlength=len(starts)), "tokens": tokens, "largest": largest})


def _starts(workspace: Workspace, unit: Unit) -> list[Start]:
    return [tuple(entry["start"]) for entry in read_listing(workspace.store, unit.inputs["starts"])]


def limit_stage(config: SelectConfig, shares: NDArray[np.float64] | None) -> Stage:
    """Where the budget ends. ``shares`` float64[S] of the sources; None weighs them by their tokens."""
    assert config.sample is not None
    settings = {
        "target_tokens": config.sample.target_tokens,
        "shares": None if shares is None else shares.tolist(),
        "by_source": by_source(config),
    }
    return Stage("sample_limit", 1, settings, run_limit)


def plan_limit(rows: Json, sums: Json, starts: Json, ranged: list[Record]) -> list[Unit]:
    """A single unit."""
    size = sum(record.outputs["sums"].rows for record in ranged) * 24
    return [Unit(0, {"rows": rows, "sums": sums, "starts": starts}, size)]


def run_limit(unit: Unit, workspace: Workspace) -> None:
    """Add up; find the limit, and what every range beyond it needs to know."""
    store, settings = workspace.store, workspace.settings
    source = np.array([start[0] for start in _starts(workspace, unit)], np.int64)
    documents, tokens, largest = np.zeros((3, len(source)), np.int64)
    for entry in read_listing(store, unit.inputs["sums"]):
        table = read_ipc(store, entry)
        documents += column_to_numpy(table, "documents")
        tokens += column_to_numpy(table, "tokens")
        np.maximum(largest, column_to_numpy(table, "largest"), out=largest)
    ranges = Ranges(source, documents, tokens, largest)
    weights = np.ones(1)
    if settings["by_source"]:
        shares = settings["shares"]
        weights = ranges.of_sources(tokens).astype(np.float64) if shares is None else np.array(shares)

    def read(number: int) -> Rows:
        return in_order(read_partition(store, unit.inputs["rows"], number))

    limit = find_limit(ranges, weights, settings["target_tokens"], read)
    workspace.metadata["limit"], workspace.metadata["ranges"] = None, []
    if limit is None:
        return
    before, ranks = ranges.before(tokens), ranges.before(documents)
    workspace.metadata["limit"] = limit._asdict()
    workspace.metadata["water"] = limit.level if settings["by_source"] else float(ranks[limit.range] + limit.place)
    workspace.metadata["ranges"] = [
        {
            "range": number,
            "tokens": int(before[number]),
            "documents": int(ranks[number]),
            "weight": float(weights[source[number]]),
        }
        for number in ranges.beyond(limit, weights).tolist()
    ]


def places_stage(config: SelectConfig) -> Stage:
    """What does not fit, and where it stands: by its level, or by its rank where sources are not looked at."""
    return Stage("sample_places", 1, {"by_source": by_source(config)}, run_places)


def plan_places(rows: Json, ranged: list[Record], limits: Record, starts: Json) -> list[Unit]:
    """One unit a range that holds something beyond the limit. ``starts`` lists the first document of every part."""
    limit, ranges = limits.metadata["limit"], limits.metadata["ranges"]
    size = sum(record.outputs["rows"].rows for record in ranged) * 34 // max(1, len(ranges))
    return [
        Unit(number, {"rows": rows, "limit": limit, "starts": starts, **found}, size)
        for number, found in enumerate(ranges)
    ]


def run_places(unit: Unit, workspace: Workspace) -> None:
    """Sort the range; send what stands beyond the limit back to its part."""
    inputs = unit.inputs
    rows = in_order(read_partition(workspace.store, inputs["rows"], inputs["range"]))
    level = levels_of(rows, inputs["tokens"], inputs["weight"])
    out = Limit(**inputs["limit"]).left_out(rows, level)
    place = level if workspace.settings["by_source"] else inputs["documents"] + np.arange(len(level), dtype=np.float64)
    send_back(workspace, inputs["starts"], rows["doc"][out], {"value": place[out].astype(np.float32)})
