"""Contaminated items: what was found of each item in all documents together. One unit; the table in ``reports/``."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.stages.tables import column_to_numpy, dictionary_column, parquet_output, read_listing, read_parquet

STATUS = ("found", "not found", "same", "too short", "empty")
"""Of an item; ``same`` repeats the words of one before that is not found, either."""


def stage(min_words: int) -> Stage:
    """The stage: ``min_words`` of an item that is tested."""
    return Stage("contaminated_items", 1, {"min_words": min_words}, run)


def plan(items: Record, listing: Json, searched: list[Record]) -> list[Unit]:
    """A single unit: ``listing`` names the tables of places."""
    size = items.outputs["items"].bytes + sum(record.outputs["places"].bytes for record in searched)
    return [Unit(0, {"items": items.outputs["items"].reference(), "places": listing}, size)]


def run(unit: Unit, workspace: Workspace) -> None:
    """Add the places of all parts up."""
    store = workspace.store
    items = read_parquet(store, unit.inputs["items"]).combine_chunks()
    number = items.num_rows
    places, documents = np.zeros((2, number), np.int64)
    first_doc = np.full(number, schemas.NO_DOC, np.uint64)
    for entry in read_listing(store, unit.inputs["places"]):
        table = read_parquet(store, entry, ["doc", "item"])
        doc, item = column_to_numpy(table, "doc"), column_to_numpy(table, "item")
        np.add.at(places, item, 1)
        pairs = np.unique(np.stack([item.astype(np.uint64), doc]), axis=1)
        np.add.at(documents, pairs[0].astype(np.int64), 1)
        np.minimum.at(first_doc, item, doc)
    leader = leaders_of(items)
    documents, places, first_doc = documents[leader], places[leader], first_doc[leader]
    status = status_of(items, documents, leader, workspace.settings["min_words"])
    column = items.column("set").combine_chunks()
    sets = column.dictionary.to_pylist()
    with parquet_output(workspace, "items", schemas.FOUND_ITEMS, plain=("item",)) as out:
        out.write(
            {
                **{name: items.column(name) for name in items.column_names},
                "status": dictionary_column(status, STATUS),
                "documents": documents.astype(np.uint32),
                "places": places.astype(np.uint32),
                "first_doc": pa.array(first_doc, pa.uint64(), mask=first_doc == schemas.NO_DOC),
            }
        )
    of = column.indices.to_numpy()
    for place, name in enumerate(sets):
        mine = np.bincount(status[of == place], minlength=len(STATUS))
        for what, count in zip(STATUS, mine.tolist(), strict=True):
            workspace.count(f"items/{name}/{what}", count)


def leaders_of(items: pa.Table) -> NDArray[np.int64]:
    """int64[I]: the item that each is searched for by: itself, or the one before that has the same words."""
    same = items.column("same_as")
    return np.where(same.is_null().to_numpy(), np.arange(items.num_rows), same.fill_null(0).to_numpy().astype(np.int64))


def status_of(
    items: pa.Table, documents: NDArray[np.int64], leader: NDArray[np.int64], min_words: int
) -> NDArray[np.int64]:
    """int64[I] into ``STATUS``, from the number of documents that hold each."""
    question, words = (column_to_numpy(items, name) for name in ("question_words", "words"))
    conditions = [documents > 0, question == 0, words < min_words, leader != np.arange(items.num_rows)]
    return np.select(conditions, [0, 4, 3, 2], 1)
