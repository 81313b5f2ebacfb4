"""Evaluation items: the sets' files to a table of items, and to the index that texts are looked up in. One unit."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.operators.files import local_copy
from winnow.stages.tables import column_to_numpy, dictionary_column, ipc_output, parquet_output, read_ipc
from winnow.storage.store import Store
from winnow.text.contamination.config import EvaluationSet
from winnow.text.contamination.item_index import ItemIndex, ItemWords, build_index
from winnow.text.contamination.items import Items, Layout, read_items

_QUESTION_CHARACTERS = 300
"""Of a question that the table of items holds."""


def stage(sets: tuple[EvaluationSet, ...]) -> Stage:
    """The stage; the files themselves are named by the unit."""
    fields = [
        {
            "name": entry.shown,
            "question": entry.question,
            "answer": entry.answer,
            "choices": None if entry.choices is None else list(entry.choices),
        }
        for entry in sets
    ]
    return Stage("evaluation_items", 1, {"sets": fields}, run)


def plan(files: list[Json], size: int) -> list[Unit]:
    """A single unit: ``files`` in the run folder, by path and hash, set by set; ``size`` of all in bytes."""
    return [Unit(0, {"files": files}, size)]


def read_sets(sets: list[Json], paths: list[Path], shown: list[str]) -> Items:
    """The items of all sets.

    Args:
        sets: as in the stage's settings.
        paths: their files on this machine.
        shown: what messages call these.

    Raises:
        ConfigError: a file cannot be used; with its line.
    """
    items = Items()
    for entry, path, name in zip(sets, paths, shown, strict=True):
        named = entry["question"], entry["answer"], entry["choices"]
        given = None if named == (None, None, None) else Layout(named[0] or "", named[1], tuple(named[2] or ()))
        read_items(items, path, entry["name"], name, given)
    return items


def run(unit: Unit, workspace: Workspace) -> None:
    """Read, index, and write both."""
    files, sets = unit.inputs["files"], workspace.settings["sets"]
    paths = [Path(local_copy(workspace.store, file["path"])) for file in files]
    workspace.metadata["files"] = files
    with workspace.timed("read"):
        items = read_sets(sets, paths, [path.name for path in paths])
    with workspace.timed("index"):
        index, about = build_index(items)
    with parquet_output(workspace, "items", schemas.EVALUATION_ITEMS, plain=("item",)) as table:
        table.write(_columns(items, about))
    for name, array in index._asdict().items():
        with ipc_output(workspace, name, pa.schema([("value", pa.from_numpy_dtype(array.dtype))])) as table:
            table.write({"value": array})


def _columns(items: Items, about: ItemWords) -> Json:
    return {
        "item": np.arange(len(items), dtype=np.uint32),
        "set": dictionary_column(np.array(items.set, np.int64), items.sets),
        "file": dictionary_column(np.array(items.set, np.int64), items.files),
        "line": np.array(items.line, np.uint32),
        "question": pa.array([question[:_QUESTION_CHARACTERS] for question in items.question], pa.string()),
        "question_words": about.question.astype(np.uint32),
        "words": about.longest.astype(np.uint32),
        "same_as": pa.array(np.maximum(about.same_as, 0), pa.uint32(), mask=about.same_as < 0),
    }


def index_of(record: Record) -> Json:
    """Where the index lies, for units that use it: by name of the array."""
    return {name: record.outputs[name].reference() for name in ItemIndex._fields}


def open_index(store: Store, references: Json) -> ItemIndex:
    """The index, mapped."""
    return ItemIndex(*(_array(store, references[name]) for name in ItemIndex._fields))


def _array(store: Store, reference: Json) -> NDArray[Any]:
    array = column_to_numpy(read_ipc(store, reference), "value")
    array.flags.writeable = False  # an empty one is not mapped
    return array
