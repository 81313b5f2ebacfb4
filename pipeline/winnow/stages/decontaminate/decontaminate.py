"""Decontaminate: leave documents out that hold evaluation items, or that cuts leave nothing of. Writes the ledger anew.

The ledger names the item of which most is held: its rule (question alone, or with its answer), the share of its words,
and how large that share may not be. All items and places stand in the table of places.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.stages.decide.ledger_tables import LeftOut, leave_out, ledger_units
from winnow.stages.decontaminate.search import BY
from winnow.stages.tables import column_to_numpy, read_ipc, read_parquet
from winnow.text.contamination.item_index import Rule

RULES = ("decontaminate.question", "decontaminate.answer")
"""Of the ledger, by the number in ``BY``."""


def stage(rule: Rule, sources: list[str]) -> Stage:
    """The stage; ``sources`` in config order, because verdicts hold a source's position in it."""
    return Stage("decontaminate", 1, {"rule": rule._asdict(), "sources": sources}, run)


def plan(
    ledger: list[Record], filtered: list[Record], searched: list[Record], cut: list[Record] | None = None
) -> list[Unit]:
    """One unit a part; ``cut`` says which documents go whole, where others are cut."""
    found = [{"places": places.outputs["places"].reference()} for places in searched]
    if cut is not None:
        found = [
            {**named, "whole": record.outputs["whole"].reference()} for named, record in zip(found, cut, strict=True)
        ]
    return ledger_units(ledger, filtered, found)


def run(unit: Unit, workspace: Workspace) -> None:
    """Leave out every document with a place."""
    store, inputs, settings = workspace.store, unit.inputs, workspace.settings
    before = read_parquet(store, inputs["decisions"]).combine_chunks()
    docs = column_to_numpy(before, "doc")
    places = read_parquet(store, inputs["places"])
    if "whole" in inputs:
        whole = column_to_numpy(read_ipc(store, inputs["whole"]), "doc")
        places = places.filter(pa.array(np.isin(column_to_numpy(places, "doc"), whole)))
    found = most_held(places, Rule(**settings["rule"]))
    row = np.searchsorted(docs, found.docs)
    number = np.full(len(docs), -1)
    value, threshold = np.zeros((2, len(docs)), np.float32)
    number[row], value[row], threshold[row] = found.by, found.share, found.least
    gone = number >= 0
    copies = np.where(gone, 0, column_to_numpy(before, "copies").astype(np.int64))
    source = column_to_numpy(read_parquet(store, inputs["verdicts"], ["source"]), "source")
    names = pa.array(RULES, pa.string()).take(pa.array(number, mask=~gone))
    left_out = LeftOut(gone, schemas.CONTAMINATED, names, value, threshold)
    leave_out(workspace, before, left_out, copies, source, settings["sources"])
    workspace.count("left_out", gone.sum())


class MostHeld(NamedTuple):
    """Of each document that holds an item, the one of which it holds most."""

    docs: NDArray[np.uint64]
    """[D] rising."""
    by: NDArray[np.int64]
    """[D] into ``BY``."""
    share: NDArray[np.float32]
    """[D] of its words."""
    least: NDArray[np.float32]
    """[D] the share from which a document is contaminated."""


def most_held(places: pa.Table, rule: Rule) -> MostHeld:
    """One row a document, from its places: the largest share, then the question alone, then the most words."""
    doc, words, covered, item = (column_to_numpy(places, name) for name in ("doc", "words", "covered", "item"))
    by = by_of(places)
    share = (covered / np.maximum(words, 1)).astype(np.float32)
    order = np.lexsort((item, -words.astype(np.int64), by, -share, doc))
    docs, first = np.unique(doc[order], return_index=True)
    chosen = order[first]
    least = np.where(words < rule.exact_below, 1.0, np.where(by == 0, rule.question, rule.with_answer))
    return MostHeld(docs, by[chosen], share[chosen], least.astype(np.float32)[chosen])


def by_of(places: pa.Table) -> NDArray[np.int64]:
    """What each place is of, into ``BY``."""
    column = places.column("by").combine_chunks()
    codes = np.array([BY.index(name) for name in column.dictionary.to_pylist()] or [0])
    return np.asarray(codes[column.indices.to_numpy()], np.int64)
