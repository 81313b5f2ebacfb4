"""Decide: the ledger. One row, one terminal outcome, for every readable document; and its split.

Writes two tables a part: ``decisions`` (everything), and ``survivors`` (only which documents go on), so that a new
seed or split share does not change what the tokeniser's work is named by.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.shards.order import draw_splits, split_keys
from winnow.stages.decide.label_cuts import describe, read_cuts, read_strata
from winnow.stages.decide.ledger_tables import KEPT, Ledger, write_ledger
from winnow.stages.decide.part_decisions import PartDecisions, read_decisions
from winnow.stages.decide.strata import stratified_splits
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import column_to_numpy, read_parquet
from winnow.text.rules.rules import all_names


def stage(seed: int, splits: dict[str, float], weights: dict[str, float], segment: int) -> Stage:
    """The stage: everything that turns verdicts and duplicates into outcomes.

    ``segment`` is this run's number in an index, 0 without one: splits are drawn by it too.
    """
    settings = {"seed": seed, "splits": list(splits.items()), "weights": list(weights.items()), "segment": segment}
    return Stage("decide", 4, settings, run)


def plan(
    parts: list[Part], filtered: list[Record], member_decisions: Json | None, strata: tuple[Json, Json] | None = None
) -> list[Unit]:
    """One unit a part.

    Args:
        parts: of the run.
        filtered: records of the filter.
        member_decisions: where they are listed; None where dedup is off.
        strata: the labels, and where splits end in each; None where splits are not stratified.
    """
    labels, cuts = (None, None) if strata is None else strata
    return [
        Unit(
            part.number,
            {
                **describe(part, record, member_decisions, labels),
                "failures": record.outputs["failures"].reference(),
                "cuts": cuts,
            },
            part.rows * 64,
        )
        for part, record in zip(parts, filtered, strict=True)
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Join verdicts and duplicate decisions; draw splits and copies."""
    store, settings, inputs = workspace.store, workspace.settings, unit.inputs
    decisions = read_decisions(
        store, inputs["verdicts"], inputs["member_decisions"], inputs["part"], settings["segment"]
    )
    docs, kept = decisions.docs, decisions.outcome == KEPT
    copies = decisions.copies([weight for _, weight in settings["weights"]], settings["seed"])
    split_names = ["train", *(name for name, _ in settings["splits"])]
    split = _splits(unit, workspace, decisions)
    rules, rule, value, threshold = _first_failures(workspace, inputs["failures"], docs)

    ledger = Ledger(
        docs,
        decisions.outcome,
        rule,
        value,
        threshold,
        decisions.keeper,
        decisions.similarity,
        decisions.containment,
        decisions.lost,
        decisions.guard,
        decisions.guard_keeper,
        np.where(kept, split, -1),
        copies.astype(np.uint16),
    )
    for name, number in zip(split_names, np.bincount(split[kept], minlength=len(split_names)), strict=True):
        workspace.count(f"split/{name}", number)
    names = [name for name, _ in settings["weights"]]
    write_ledger(workspace, ledger, rules, split_names, decisions.source, names)


def _splits(unit: Unit, workspace: Workspace, decisions: PartDecisions) -> NDArray[np.int64]:
    """Split of each document by its group: by a plain draw, or by where splits end in its component's label."""
    settings, inputs = workspace.settings, unit.inputs
    if inputs["cuts"] is None:
        return draw_splits(decisions.group, np.array([share for _, share in settings["splits"]]), settings["seed"])
    _, stratum, labels = read_strata(workspace.store, inputs, decisions)
    cuts = read_cuts(workspace.store, inputs["cuts"], labels)
    return stratified_splits(split_keys(decisions.group, settings["seed"]), decisions.group, stratum, *cuts)


def _first_failures(
    workspace: Workspace, reference: Json, docs: NDArray[np.uint64]
) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Names of rules; first failed rule of each document as an index into them (-1: none), its value and threshold."""
    failures = read_parquet(workspace.store, reference).combine_chunks()
    rule = np.full(len(docs), -1)
    value, threshold = np.zeros(len(docs), np.float32), np.zeros(len(docs), np.float32)
    all_rules = all_names()
    if failures.num_rows:
        failed, first = np.unique(column_to_numpy(failures, "doc"), return_index=True)
        row = np.searchsorted(docs, failed)
        names = failures.column("rule").combine_chunks()
        all_rules = all_names(*names.dictionary.to_pylist())
        codes = np.array([all_rules.index(name) for name in names.dictionary.to_pylist()])
        rule[row] = codes[names.indices.to_numpy()][first]
        value[row] = column_to_numpy(failures, "value")[first]
        threshold[row] = column_to_numpy(failures, "threshold")[first]
    return all_rules, rule, value, threshold
