"""Map side of the shuffle of clean text: kept documents of a part, in the global order, with their columns."""

import numpy as np

from winnow.engine.exchange import partition_of_hash
from winnow.engine.records import Json, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.shards.documents.cells import to_cells
from winnow.shards.order import order_keys
from winnow.shards.packing.stream import gather_documents
from winnow.stages.documents.columns import Column, arrow_schema, read_part
from winnow.stages.tables import exchange_output, extents_output


def stage(columns: list[Column], schema: list[list[str]], seed: int, epoch: int, splits: list[str]) -> Stage:
    """One unit a part."""
    settings = {
        "columns": [list(column) for column in columns],
        "schema": schema,
        "seed": seed,
        "epoch": epoch,
        "splits": splits,
    }
    return Stage("document_shuffle", 1, settings, run)


def plan(tables: list[Json], text_bytes: list[int], shards: list[int]) -> list[Unit]:
    """``tables`` names each part's tables, ``shards`` says how many files each split gets."""
    return [
        Unit(number, {**named, "shards": shards}, size)
        for number, (named, size) in enumerate(zip(tables, text_bytes, strict=True))
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Gather the part's columns and send every document to the file it will stand in."""
    settings, shards = workspace.settings, np.array(unit.inputs["shards"], np.int64)
    columns = [Column(*column) for column in settings["columns"]]
    with workspace.timed("read"):
        part = read_part(workspace.store, unit.inputs, columns, arrow_schema(settings["schema"]))
    ones = np.ones(len(part.docs), np.uint64)
    high, low = order_keys(part.docs, ones - np.uint64(1), ones, settings["seed"], settings["epoch"])
    split = np.array([settings["splits"].index(name) for name in part.split], np.int64)
    first = np.concatenate([[0], np.cumsum(shards)])
    partition = np.zeros(len(split), np.int64)
    for number, files in enumerate(shards.tolist()):
        mine = split == number
        partition[mine] = first[number] + partition_of_hash(high[mine], max(1, files))
    order = np.lexsort((part.docs, low, high, partition))
    with workspace.timed("write"):
        cells = to_cells(part.table)
        sent = {"key_high": high, "key_low": low, "doc": part.docs, "length": cells.lengths, **cells.columns}
        payload = gather_documents(cells.payload, cells.starts[order], cells.lengths[order])
        sent = {name: values[order] for name, values in sent.items()}
        exchange_output(workspace, "rows", partition[order], sent, int(first[-1]), payload, np.dtype(np.uint8))
    workspace.count("documents", len(part.docs))


def layout_stage() -> Stage:
    """The barrier: where the documents of every file lie in the map side's files."""
    return Stage("document_layout", 2, {}, run_layout)


def run_layout(unit: Unit, workspace: Workspace) -> None:
    """Collect what the indexes of all map files say of some partitions."""
    extents_output(workspace, **unit.inputs)
