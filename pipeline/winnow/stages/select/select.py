"""Select: the ledger once more, with what select decided. One row, one terminal outcome, for every readable document.

Writes the same two tables as ``decide``: ``decisions`` and ``survivors``.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.dedup.guard import REASONS
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.select.steps import DROP_RULES
from winnow.stages.decide.ledger_tables import KEPT, OUTCOMES, Ledger, ledger_units, write_ledger
from winnow.stages.tables import column_to_numpy, read_ipc, read_parquet, read_partition
from winnow.text.rules.config import RULE_NAMES
from winnow.text.rules.rules import all_names

_SEMANTIC, _SAMPLED_OUT = (OUTCOMES.index(name) for name in (schemas.SEMANTIC_DUPLICATE, schemas.SAMPLED_OUT))


def stage(sources: list[str]) -> Stage:
    """The stage; ``sources`` in config order, because verdicts hold a source's position in it."""
    return Stage("select", 2, {"sources": sources}, run)


def plan(
    decided: list[Record], filtered: list[Record], semantic: Json | None, sampled: list[Record] | None
) -> list[Unit]:
    """One unit a part. ``semantic`` lists semantic duplicates, ``sampled`` what was left out; None: that is off."""
    drops = [None] * len(decided) if sampled is None else [record.outputs["drops"].reference() for record in sampled]
    found = [{"semantic": semantic, "drops": drops[place], "part": place} for place in range(len(decided))]
    return ledger_units(decided, filtered, found)


def run(unit: Unit, workspace: Workspace) -> None:
    """Join the part's decisions with what select decided."""
    store, inputs = workspace.store, unit.inputs
    before = read_parquet(store, inputs["decisions"]).combine_chunks()
    docs = column_to_numpy(before, "doc")
    outcome = _codes(before.column("outcome"), OUTCOMES)
    rules = all_names(*DROP_RULES, *_names(before.column("rule")))
    rule = _codes(before.column("rule"), rules)
    value, threshold, similarity, containment = (
        before.column(name).fill_null(np.nan).to_numpy().copy()
        for name in ("value", "threshold", "similarity", "containment")
    )
    lost = before.column("lost_ngrams").cast(pa.int64()).fill_null(-1).to_numpy().copy()
    keeper, guard_keeper = (
        before.column(name).fill_null(pa.scalar(int(schemas.NO_DOC), pa.uint64())).to_numpy().copy()
        for name in ("keeper", "guard_keeper")
    )
    guard = np.maximum(_codes(before.column("guard"), REASONS), 0)
    split_names = before.column("split").combine_chunks().dictionary.to_pylist()
    split = _codes(before.column("split"), split_names)
    copies = column_to_numpy(before, "copies").copy()
    if inputs["semantic"] is not None:
        duplicates = read_partition(store, inputs["semantic"], inputs["part"])
        row = np.searchsorted(docs, duplicates["doc"])
        outcome[row], keeper[row], similarity[row] = _SEMANTIC, duplicates["keeper"], duplicates["similarity"]
        containment[row], lost[row] = np.nan, -1  # what was found of another pair
    if inputs["drops"] is not None:
        drops = read_ipc(store, inputs["drops"])
        row = np.searchsorted(docs, column_to_numpy(drops, "doc"))
        outcome[row], rule[row] = _SAMPLED_OUT, len(RULE_NAMES) + column_to_numpy(drops, "rule").astype(np.int64)
        value[row], threshold[row] = column_to_numpy(drops, "value"), column_to_numpy(drops, "threshold")
    kept = outcome == KEPT
    split[~kept], copies[~kept] = -1, 0

    verdicts = read_parquet(store, inputs["verdicts"], ["doc", "source"])
    ledger = Ledger(
        docs, outcome, rule, value, threshold, keeper, similarity, containment, lost, guard, guard_keeper, split, copies
    )
    write_ledger(
        workspace, ledger, rules, split_names, column_to_numpy(verdicts, "source"), workspace.settings["sources"]
    )


def _names(column: pa.ChunkedArray) -> list[str]:
    """Names in a dictionary column."""
    array = column.combine_chunks()
    return [] if isinstance(array, pa.ChunkedArray) else array.dictionary.to_pylist()


def _codes(column: pa.ChunkedArray, names: list[str] | tuple[str, ...]) -> NDArray[np.int64]:
    """A dictionary column as places in ``names``, int64[N]; -1 for null."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # an empty table keeps a chunked column
        return np.empty(0, np.int64)
    places = np.array([names.index(name) for name in array.dictionary.to_pylist()] or [0], np.int64)
    indices = array.indices
    found: NDArray[np.int64] = places[indices.fill_null(0).to_numpy()]
    found[~np.asarray(indices.is_valid())] = -1
    return found
