"""Filter: the published rules, decided on signals alone. Reads no text."""

from typing import Literal

import numpy as np
import orjson
import pyarrow as pa

from pipeline import schemas
from pipeline.engine.records import Unit
from pipeline.engine.stage import Stage, Workspace
from pipeline.stages.measure import Part
from pipeline.stages.tables import coded, numbers, parquet_output, read_parquet
from pipeline.text.rules import RULE_NAMES, RulesConfig, evaluate

EMPTY_RULE = RULE_NAMES.index("empty")


class FilterConfig(RulesConfig):
    """Which documents go on."""

    mode: Literal["filter", "annotate"] = "filter"
    """`filter` drops documents that fail a rule; `annotate` records the failures and lets them go on."""


def stage(config: FilterConfig, source_names: list[str]) -> Stage:
    """The stage; source names are here because verdicts hold a source's position in the config."""
    return Stage("filter", 1, {"config": config.model_dump(), "sources": source_names}, run)


def plan(parts: list[Part]) -> list[Unit]:
    """One unit a part."""
    return [Unit(part.number, {"signals": part.signals}, part.rows * 400) for part in parts]


def run(unit: Unit, workspace: Workspace) -> None:
    """Evaluate every rule on every document of the part."""
    config = FilterConfig.model_validate_json(orjson.dumps(workspace.settings["config"]))
    names: list[str] = workspace.settings["sources"]
    signals = read_parquet(workspace.store, unit.description["signals"]).combine_chunks()
    docs = numbers(signals, "doc")
    failures = evaluate(signals, signals.column("language").combine_chunks(), config)

    failed_rules = np.bincount(failures.row, minlength=len(docs)).astype(np.uint16)
    empty = np.zeros(len(docs), bool)
    empty[failures.row[failures.rule == EMPTY_RULE]] = True
    passed = ~empty & (failed_rules == 0) if config.mode == "filter" else ~empty
    outcome = np.where(empty, 1, 0)  # an empty text has nothing to train on, in either mode
    source = signals.column("source").combine_chunks()
    position = np.array([names.index(name) for name in source.dictionary.to_pylist()], np.uint16)

    with parquet_output(workspace, "verdicts", schemas.VERDICTS, plain=("doc",)) as verdicts:
        verdicts.write(
            {
                "doc": docs,
                "passed": passed,
                "outcome": coded(np.where(passed, -1, outcome), (schemas.FILTERED, schemas.EMPTY), missing=-1),
                "failed_rules": failed_rules,
                "characters": numbers(signals, "characters"),
                "source": position[source.indices.to_numpy()],
            }
        )
    with parquet_output(workspace, "failures", schemas.FAILURES, plain=("doc",)) as table:
        table.write(
            {
                "doc": docs[failures.row],
                "rule": coded(failures.rule, RULE_NAMES),
                "value": pa.array(failures.value, pa.float32()),
                "threshold": pa.array(failures.threshold, pa.float32()),
            }
        )
    workspace.count("documents", len(docs))
    workspace.count("passed", passed.sum())
    for rule, number in enumerate(np.bincount(failures.rule, minlength=len(RULE_NAMES))):
        if number:
            workspace.count(f"failed/{RULE_NAMES[rule]}", number)
