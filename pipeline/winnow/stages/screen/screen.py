"""Screen: rules on signals of operators on GPUs, and verdicts of those that filter, on the documents that dedup kept.

Reads no text, and writes the ledger once more: a document that fails is ``filtered`` by the first rule that it fails.
"""

from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.stages.decide.ledger_tables import LeftOut, leave_out, ledger_units
from winnow.stages.filter import own_failures, refusals, write_failures
from winnow.stages.tables import column_to_numpy, read_parquet
from winnow.text.rules.rules import Failures, joined
from winnow.text.rules.signal_rules import SignalRule, bounds_of, rule_names


def stage(
    mode: Literal["filter", "annotate"],
    rules: tuple[SignalRule, ...],
    verdicts: tuple[str, ...],
    sources: list[str],
    name: str = "screen",
    always: tuple[str, ...] = (),
) -> Stage:
    """The stage.

    Args:
        mode: ``annotate`` writes what fails, and lets it go on.
        rules: on signals of operators on GPUs.
        verdicts: columns of those that filter; a document fails where one is false.
        sources: in config order, because verdicts hold a source's position in it.
        name: of the stage: rules on other tables are decided in the same way.
        always: names of rules that leave out what fails them in either mode.
    """
    settings: Json = {
        "mode": mode,
        "rules": [rule.model_dump(mode="json") for rule in rules],
        "verdicts": list(verdicts),
        "sources": sources,
    }
    if always:
        settings["always"] = list(always)
    return Stage(name, 3, settings, run)


def plan(decided: list[Record], filtered: list[Record], signalled: list[Record], cuts: Json | None) -> list[Unit]:
    """One unit a part; ``cuts`` are the thresholds by quantile, where rules ask for some."""
    found = [{"signals": record.outputs["signals"].reference(), "cuts": cuts} for record in signalled]
    return ledger_units(decided, filtered, found)


def run(unit: Unit, workspace: Workspace) -> None:
    """Evaluate every rule on every kept document of the part; leave out what fails one."""
    store, inputs, settings = workspace.store, unit.inputs, workspace.settings
    signals = read_parquet(store, inputs["signals"]).combine_chunks()
    docs = column_to_numpy(signals, "doc")
    given = tuple(SignalRule.model_validate(rule) for rule in settings["rules"])
    rules = tuple(dict.fromkeys((*rule_names(given), *settings["verdicts"])))
    failures = joined(
        [
            _nothing(),
            *own_failures(store, inputs["cuts"], signals, bounds_of(given), rules),
            *(refusals(signals, name, rules) for name in settings["verdicts"]),
        ]
    )
    failed, first = np.unique(failures.row, return_index=True)
    workspace.count("documents", len(docs))
    workspace.count("failed_documents", len(failed))

    before = read_parquet(store, inputs["decisions"]).combine_chunks()
    source = column_to_numpy(read_parquet(store, inputs["verdicts"], ["source"]), "source")
    row_of = np.searchsorted(column_to_numpy(before, "doc"), docs)
    write_failures(workspace, docs, failures, rules, source[row_of], settings["sources"])
    if settings["mode"] == "annotate":
        only = np.flatnonzero(np.isin(failures.rule, [rules.index(name) for name in settings.get("always", [])]))
        failed, place = np.unique(failures.row[only], return_index=True)
        first = only[place]
    row = row_of[failed]
    number = np.full(before.num_rows, -1)
    value, threshold = np.zeros((2, before.num_rows), np.float32)
    number[row], value[row], threshold[row] = (column[first] for column in failures[1:])
    gone = number >= 0
    copies = np.where(gone, 0, column_to_numpy(before, "copies").astype(np.int64))
    left_out = LeftOut(gone, schemas.FILTERED, _names(number, rules), value, threshold)
    leave_out(workspace, before, left_out, copies, source, settings["sources"])


def _nothing() -> Failures:
    return Failures(np.empty(0, np.int64), np.empty(0, np.int32), *np.empty((2, 0), np.float32))


def _names(number: NDArray[np.int64], rules: tuple[str, ...]) -> pa.Array:
    """string[N] of indices int[N] into ``rules``, null for -1."""
    return pa.array(rules, pa.string()).take(pa.array(number, mask=number < 0))
