"""Decide: the ledger. One row, one terminal outcome, for every readable document; and its split.

Writes two tables a part: ``decisions`` (everything), and ``survivors`` (only which documents go on), so that a new
seed or split share does not change what the tokeniser's work is named by.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline import schemas
from pipeline.dedup.index import own_groups
from pipeline.engine.records import Json, Record, Unit
from pipeline.engine.stage import Stage, Workspace
from pipeline.shards.order import draw_copies, draw_splits
from pipeline.stages.ledger_tables import KEPT, OUTCOMES, Ledger, write_ledger
from pipeline.stages.measure import Part
from pipeline.stages.tables import numbers, read_parquet, read_partition
from pipeline.text.rules import RULE_NAMES

_EXACT, _NEAR = (OUTCOMES.index(name) for name in (schemas.EXACT_DUPLICATE, schemas.NEAR_DUPLICATE))


def stage(seed: int, splits: dict[str, float], weights: dict[str, float], segment: int) -> Stage:
    """The stage: everything that turns verdicts and duplicates into outcomes.

    ``segment`` is this run's number in an index, 0 without one: splits are drawn by it too.
    """
    settings = {"seed": seed, "splits": list(splits.items()), "weights": list(weights.items()), "segment": segment}
    return Stage("decide", 2, settings, run)


def plan(parts: list[Part], filtered: list[Record], fates: Json | None) -> list[Unit]:
    """One unit a part; ``fates`` is None where dedup is off."""
    return [
        Unit(
            part.number,
            {
                "verdicts": record.outputs["verdicts"].reference(),
                "failures": record.outputs["failures"].reference(),
                "fates": fates,
                "part": part.number,
            },
            part.rows * 64,
        )
        for part, record in zip(parts, filtered, strict=True)
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Join verdicts and duplicate decisions; draw splits and copies."""
    store, settings, description = workspace.store, workspace.settings, unit.description
    verdicts = read_parquet(store, description["verdicts"]).combine_chunks()
    docs = numbers(verdicts, "doc")
    outcome_column = verdicts.column("outcome").combine_chunks()
    codes = np.array([OUTCOMES.index(name) for name in outcome_column.dictionary.to_pylist()] or [0])
    passed = numbers(verdicts, "passed")
    outcome = np.where(passed, KEPT, codes[outcome_column.indices.fill_null(0).to_numpy()])

    keeper = np.full(len(docs), schemas.NO_DOC)
    similarity = np.full(len(docs), np.nan, np.float32)
    group = own_groups(docs, settings["segment"])
    if description["fates"] is not None:
        fates = read_partition(workspace.store, description["fates"], description["part"])
        row = np.searchsorted(docs, fates["doc"])
        group[row] = fates["group"]
        removed = fates["keeper"] != schemas.NO_DOC
        keeper[row[removed]] = fates["keeper"][removed]
        similarity[row[removed]] = fates["similarity"][removed]
        outcome[row[removed]] = np.where(fates["exact"][removed] == 1, _EXACT, _NEAR)

    weights = np.array([weight for _, weight in settings["weights"]])
    copies = draw_copies(docs, weights[numbers(verdicts, "source")], settings["seed"])
    kept = outcome == KEPT
    split_names = ["train", *(name for name, _ in settings["splits"])]
    split = draw_splits(group, np.array([share for _, share in settings["splits"]]), settings["seed"])
    rule, value, threshold = _first_failures(workspace, description["failures"], docs)

    ledger = Ledger(
        docs,
        outcome,
        rule,
        value,
        threshold,
        keeper,
        similarity,
        np.where(kept, split, -1),
        np.where(kept, copies, 0).astype(np.uint16),
    )
    names = [name for name, _ in settings["weights"]]
    write_ledger(workspace, ledger, RULE_NAMES, split_names, numbers(verdicts, "source"), names)


def _first_failures(
    workspace: Workspace, reference: Json, docs: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """First failed rule of each document as an index into RULE_NAMES (-1: none), its value and threshold."""
    failures = read_parquet(workspace.store, reference).combine_chunks()
    rule = np.full(len(docs), -1)
    value, threshold = np.zeros(len(docs), np.float32), np.zeros(len(docs), np.float32)
    if failures.num_rows:
        failed, first = np.unique(numbers(failures, "doc"), return_index=True)
        row = np.searchsorted(docs, failed)
        names = failures.column("rule").combine_chunks()
        codes = np.array([RULE_NAMES.index(name) for name in names.dictionary.to_pylist()])
        rule[row] = codes[names.indices.to_numpy()][first]
        value[row] = numbers(failures, "value")[first]
        threshold[row] = numbers(failures, "threshold")[first]
    return rule, value, threshold
