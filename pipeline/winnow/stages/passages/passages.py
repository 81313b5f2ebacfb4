"""Passages: leave documents out of which cuts leave next to nothing. Writes the ledger anew.

The ledger names the document that has most of what was cut, how many words would be left, and how many it takes.
"""

import numpy as np

from winnow import schemas
from winnow.engine.records import Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.stages.decide.ledger_tables import LeftOut, leave_out, ledger_units
from winnow.stages.tables import column_to_numpy, read_ipc, read_parquet

RULE = "passages.min_words"


def stage(min_words: int, sources: list[str]) -> Stage:
    """The stage; ``sources`` in config order, because verdicts hold a source's position in it."""
    return Stage("passages", 1, {"min_words": min_words, "sources": sources}, run)


def plan(ledger: list[Record], filtered: list[Record], spans: list[Record]) -> list[Unit]:
    """One unit a part."""
    return ledger_units(ledger, filtered, [{"short": cut.outputs["short"].reference()} for cut in spans])


def run(unit: Unit, workspace: Workspace) -> None:
    """Leave out every document that is too short now."""
    store, inputs, settings = workspace.store, unit.inputs, workspace.settings
    before = read_parquet(store, inputs["decisions"]).combine_chunks()
    short = read_ipc(store, inputs["short"])
    row = np.searchsorted(column_to_numpy(before, "doc"), column_to_numpy(short, "doc"))
    gone, keeper = np.zeros(before.num_rows, np.bool_), np.full(before.num_rows, schemas.NO_DOC)
    value, threshold = np.zeros((2, before.num_rows), np.float32)
    gone[row], keeper[row] = True, column_to_numpy(short, "keeper")
    value[row], threshold[row] = column_to_numpy(short, "words"), settings["min_words"]
    copies = np.where(gone, 0, column_to_numpy(before, "copies").astype(np.int64))
    source = column_to_numpy(read_parquet(store, inputs["verdicts"], ["source"]), "source")
    left_out = LeftOut(gone, schemas.REPEATED, RULE, value, threshold, keeper)
    leave_out(workspace, before, left_out, copies, source, settings["sources"])
    workspace.count("left_out", gone.sum())
