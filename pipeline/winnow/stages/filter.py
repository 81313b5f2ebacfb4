"""Filter: the published rules, decided on signals alone. Reads no text."""

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Json, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.shards.order import draw_copies
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import column_to_numpy, dictionary_column, parquet_output, read_parquet
from winnow.text.config import FilterConfig
from winnow.text.rules.rules import RULE_NAMES, evaluate

EMPTY_RULE = RULE_NAMES.index("empty")


def stage(config: FilterConfig, weights: dict[str, float], seed: int) -> Stage:
    """The stage; ``weights`` by source, in config order, because verdicts hold a source's position in it.

    Documents that a weight under 1 leaves out are left out here, before dedup, so that no duplicate is removed for
    a keeper that is not kept. Weights of 1 and more, and then the seed, change nothing here.
    """
    fractions = {name: min(weight, 1.0) for name, weight in weights.items()}
    sampling = {"fractions": list(fractions.items()), "seed": seed if min(fractions.values()) < 1 else None}
    return Stage("filter", 1, {"config": config.model_dump(), "sampling": sampling}, run)


def plan(parts: list[Part]) -> list[Unit]:
    """One unit a part."""
    return [Unit(part.number, {"signals": part.signals}, part.rows * 400) for part in parts]


def run(unit: Unit, workspace: Workspace) -> None:
    """Evaluate every rule on every document of the part."""
    config = FilterConfig.model_validate_json(orjson.dumps(workspace.settings["config"]))
    names = [name for name, _ in workspace.settings["sampling"]["fractions"]]
    signals = read_parquet(workspace.store, unit.inputs["signals"]).combine_chunks()
    docs = column_to_numpy(signals, "doc")
    failures = evaluate(signals, signals.column("language").combine_chunks(), config)

    failed_rules = np.bincount(failures.row, minlength=len(docs)).astype(np.uint16)
    empty = np.zeros(len(docs), bool)
    empty[failures.row[failures.rule == EMPTY_RULE]] = True
    passed = ~empty & (failed_rules == 0) if config.mode == "filter" else ~empty
    source = signals.column("source").combine_chunks()
    position = np.array([names.index(name) for name in source.dictionary.to_pylist()], np.uint16)
    position = position[source.indices.to_numpy()]
    sampled_out = passed & (_copies(docs, position, workspace.settings["sampling"]) == 0)
    passed &= ~sampled_out
    # an empty text has nothing to train on, in either mode
    outcome = np.select([passed, empty, sampled_out], [-1, 1, 2], 0)

    with parquet_output(workspace, "verdicts", schemas.VERDICTS, plain=("doc",)) as verdicts:
        verdicts.write(
            {
                "doc": docs,
                "passed": passed,
                "outcome": dictionary_column(
                    outcome, (schemas.FILTERED, schemas.EMPTY, schemas.SAMPLED_OUT), missing=-1
                ),
                "failed_rules": failed_rules,
                "characters": column_to_numpy(signals, "characters"),
                "source": position,
            }
        )
    with parquet_output(workspace, "failures", schemas.FAILURES, plain=("doc",)) as table:
        table.write(
            {
                "doc": docs[failures.row],
                "rule": dictionary_column(failures.rule, RULE_NAMES),
                "value": pa.array(failures.value, pa.float32()),
                "threshold": pa.array(failures.threshold, pa.float32()),
            }
        )
    workspace.count("documents", len(docs))
    workspace.count("passed", passed.sum())
    for rule, number in enumerate(np.bincount(failures.rule, minlength=len(RULE_NAMES))):
        if number:
            workspace.count(f"failed/{RULE_NAMES[rule]}", number)


def _copies(docs: NDArray[np.uint64], position: NDArray[np.uint16], sampling: Json) -> NDArray[np.int64]:
    """1 or 0 for each document: whether its source's fraction takes it (weights over 1 are drawn by ``decide``)."""
    if sampling["seed"] is None:
        return np.ones(len(docs), np.int64)
    fractions = np.array([fraction for _, fraction in sampling["fractions"]])
    return draw_copies(docs, fractions[position], sampling["seed"])
