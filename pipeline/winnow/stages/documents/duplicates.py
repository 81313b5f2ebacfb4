"""How many documents were removed as copies of each kept one: counted by part, sent to the keeper's part."""

import numpy as np
import pyarrow.compute as pc

from winnow.dedup.index import is_indexed
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.schemas import REPEATED
from winnow.stages.tables import column_to_numpy, exchange_output, read_listing, read_parquet


def stage(prefix: str = "") -> Stage:
    """Map side; the reduce side is whoever reads a part's documents. ``prefix`` of the stage's name."""
    return Stage(f"{prefix}duplicate_counts", 1, {}, run)


def plan(ledger: list[Record], starts: Json) -> list[Unit]:
    """One unit a part; ``starts`` lists the first document of every part."""
    return [
        Unit(
            record.number,
            {"decisions": record.outputs["decisions"].reference(), "starts": starts},
            record.outputs["decisions"].rows * 16,
        )
        for record in ledger
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Count a part's removed documents by their keeper; keepers of an index belong to an earlier run."""
    store = workspace.store
    starts = np.array([entry["first_doc"] for entry in read_listing(store, unit.inputs["starts"])], np.uint64)
    ledger = read_parquet(store, unit.inputs["decisions"], ["outcome", "keeper"])
    copies = pc.and_(pc.is_valid(ledger.column("keeper")), pc.not_equal(ledger.column("outcome"), REPEATED))
    removed = ledger.filter(copies)
    keepers = column_to_numpy(removed, "keeper") if removed.num_rows else np.empty(0, np.uint64)
    keepers, documents = np.unique(keepers[~is_indexed(keepers)], return_counts=True)
    part = np.asarray(np.searchsorted(starts, keepers, side="right"), np.int64) - 1
    columns = {"doc": keepers, "documents": documents.astype(np.int64)}
    exchange_output(workspace, "counts", part, columns, len(starts))
    workspace.count("documents", documents.sum())
