"""Buckets: which one of a mixture's every document of the train split belongs to.

Two stages: bucket_columns (a unit a part: the columns that the mixture divides by, of the documents that it draws
from), and buckets (a unit a part: their buckets, once quantiles are known).

Legend: N documents of a part.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.shards.mixture.buckets import Tree, as_numbers, ranges_of
from winnow.shards.mixture.config import NOTHING, BucketConfig, Leaf, MixtureConfig
from winnow.stages.documents.columns import Column, arrow_schema, read_part
from winnow.stages.quantiles import read_cuts
from winnow.stages.tables import ipc_output, parquet_output, read_parquet
from winnow.text.rules.signal_rules import SignalRule

NUMBER = "number."
"""What the table of columns puts before numbers that are cut in ranges."""
GROUPS = ("source", "language")
"""Columns that quantiles may be of, always there."""
TOLD = 20
"""Unnamed combinations of values that a unit tells, those with most documents."""


def quantile_rules(buckets: tuple[BucketConfig, ...]) -> tuple[SignalRule, ...]:
    """What the stages of quantiles are asked for: every quantile as a bound, bucket column by bucket column."""
    return tuple(
        SignalRule(signal=f"{NUMBER}{bucket.signal}", min_quantile=quantile, by=bucket.by)
        for bucket in buckets
        for quantile in bucket.quantiles or ()
    )


def columns_stage(columns: list[Column], schema: list[list[str]], texts: list[str], numbers: list[str]) -> Stage:
    """Gathers ``columns``: ``texts`` of them as strings, ``numbers`` as numbers."""
    settings = {"columns": [list(column) for column in columns], "schema": schema, "texts": texts, "numbers": numbers}
    return Stage("bucket_columns", 1, settings, run_columns)


def plan_columns(tables: list[Json], ledger: list[Record]) -> list[Unit]:
    """One unit a part; ``tables`` names each part's tables."""
    return [
        Unit(number, named, record.outputs["decisions"].rows * 64)
        for number, (named, record) in enumerate(zip(tables, ledger, strict=True))
    ]


def run_columns(unit: Unit, workspace: Workspace) -> None:
    """Gather the part's columns, of documents of the train split."""
    settings = workspace.settings
    columns = [Column(*column) for column in settings["columns"]]
    part = read_part(workspace.store, unit.inputs, columns, arrow_schema(settings["schema"]))
    train = np.asarray(part.split == "train", bool)
    table = part.table.filter(pa.array(train))
    found: dict[str, Any] = {"doc": part.docs[train]}
    found |= {name: table.column(name).cast(pa.string()).combine_chunks() for name in settings["texts"]}
    found |= {f"{NUMBER}{name}": as_numbers(table.column(name)) for name in settings["numbers"]}
    kinds = {name: pa.uint64() if name == "doc" else values.type for name, values in found.items()}
    with parquet_output(workspace, "signals", pa.schema(list(kinds.items())), plain=("doc",)) as out:
        out.write(found)


def stage(mixtures: list[MixtureConfig | None], buckets: tuple[BucketConfig, ...]) -> Stage:
    """Leads every document to its bucket, in each phase's mixture; None for one without buckets."""
    settings = {
        "mixtures": [
            None
            if mixture is None
            else {"by": list(mixture.by), "leaves": [list(leaf.path) for leaf in mixture.leaves]}
            for mixture in mixtures
        ],
        "buckets": [bucket.model_dump(mode="json") for bucket in buckets],
    }
    return Stage("buckets", 1, settings, run)


def plan(gathered: list[Record], cuts: Json | None) -> list[Unit]:
    """One unit a part, which is named: tables of parts without documents are equal."""
    more = {} if cuts is None else {"cuts": cuts}
    return [
        Unit(
            record.number,
            {"part": record.number, "signals": record.outputs["signals"].reference(), **more},
            record.outputs["signals"].rows,
        )
        for record in gathered
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Write every document's bucket, -1 for none; tell of values that lead to none."""
    table = read_parquet(workspace.store, unit.inputs["signals"]).combine_chunks()
    ranges = _ranges(workspace, unit.inputs.get("cuts"), table)
    columns = {name: ranges[name] if name in ranges else table.column(name) for name in (*table.column_names, *ranges)}
    found: dict[str, Any] = {"doc": table.column("doc")}
    told: list[Json] = []
    for phase, mixture in enumerate(workspace.settings["mixtures"]):
        if mixture is None:
            told.append({"documents": 0, "most": []})
            continue
        values = [columns[name] for name in mixture["by"]]
        bucket = Tree([Leaf(tuple(path), 0) for path in mixture["leaves"]], len(values)).buckets_of(values)
        found[column_of(phase)] = bucket.astype(np.int32)
        told.append({"documents": int((bucket < 0).sum()), "most": _combinations(values, bucket < 0)})
    schema = pa.schema([("doc", pa.uint64()), *((name, pa.int32()) for name in found if name != "doc")])
    with ipc_output(workspace, "buckets", schema) as out:
        out.write(found)
    workspace.metadata["unnamed"] = told
    asked = dict.fromkeys(name for mixture in workspace.settings["mixtures"] if mixture for name in mixture["by"])
    for name in asked:
        workspace.count(f"no_value/{name}", columns[name].null_count)


def column_of(phase: int) -> str:
    """The column of a phase's buckets in the table of buckets."""
    return f"bucket{phase}"


def _ranges(workspace: Workspace, cuts: Json | None, table: pa.Table) -> dict[str, pa.Array]:
    """By bucket column, the range of each document."""
    buckets = tuple(BucketConfig(**known) for known in workspace.settings["buckets"])
    rules = quantile_rules(buckets)
    found = read_cuts(workspace.store, cuts, len(rules)) if cuts is not None else [{} for _ in rules]
    ranges, first = {}, 0
    for bucket in buckets:
        places = np.array([bucket.cuts], np.float64)
        if bucket.quantiles is not None:
            mine = found[first : first + len(bucket.quantiles)]
            first += len(bucket.quantiles)
            places = np.stack([_of_groups(cut, bucket.by, table) for cut in mine], axis=1)
        values = table.column(f"{NUMBER}{bucket.signal}").combine_chunks()
        ranges[bucket.name] = ranges_of(values, places, bucket.ranges, by_quantile=bucket.quantiles is not None)
    return ranges


def _of_groups(cuts: dict[str | None, float], by: str | None, table: pa.Table) -> NDArray[np.float64]:
    """float64[N]: the cut of each document's group, NaN where it has none."""
    if by is None:
        return np.full(table.num_rows, cuts.get(None, np.nan))
    groups = table.column(by).combine_chunks().dictionary_encode()
    values = np.array([*(cuts.get(name, np.nan) for name in groups.dictionary.to_pylist()), cuts.get(None, np.nan)])
    codes = groups.indices.fill_null(len(values) - 1).to_numpy(zero_copy_only=False)
    found: NDArray[np.float64] = values[codes]
    return found


def _combinations(columns: list[Any], chosen: NDArray[np.bool_]) -> list[Json]:
    """Values of the chosen documents with their number, the commonest first, then by name."""
    if not chosen.any():
        return []
    names = [str(number) for number in range(len(columns))]
    table = pa.table([pc.fill_null(column.cast(pa.string()), NOTHING) for column in columns], names)
    counted = table.filter(pa.array(chosen)).group_by(names, use_threads=False).aggregate([([], "count_all")])
    order = [("count_all", "descending"), *((name, "ascending") for name in names)]
    rows = counted.sort_by(order).slice(0, TOLD).to_pylist()
    return [{"values": [row[name] for name in names], "documents": row["count_all"]} for row in rows]
