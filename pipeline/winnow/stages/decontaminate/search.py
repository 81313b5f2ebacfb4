"""Contamination: where kept documents hold items of evaluation sets. Reads texts; decides nothing.

Named by texts, survivors, items and rule alone: another seed, split or action searches nothing again.
"""

from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.fault_point import fault_point
from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.jit import compile_once
from winnow.stages.decide.ledger_tables import survivor_units
from winnow.stages.decontaminate.items import index_of, open_index
from winnow.stages.ingest.kept_texts import wanted_texts
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import (
    column_to_numpy,
    dictionary_column,
    parquet_output,
    read_ipc,
    read_parquet,
)
from winnow.text.contamination.config import DecontaminateConfig
from winnow.text.contamination.coverage import Places
from winnow.text.contamination.find import Finder
from winnow.text.contamination.item_index import ItemIndex, Rule, build_index
from winnow.text.contamination.items import Items

BY = ["question", "answer"]
"""What a document holds of an item, by the kernel's number."""


def rule_of(config: DecontaminateConfig) -> Rule:
    """The kernel's settings."""
    return Rule(config.question, config.with_answer, config.min_words, config.exact_below)


def stage(rule: Rule) -> Stage:
    """The stage."""
    return Stage("contamination", 1, {"rule": rule._asdict()}, run)


def plan(parts: list[Part], survivors: list[Record], items: Record) -> list[Unit]:
    """One unit a part."""
    named = {"index": index_of(items), "items": items.outputs["items"].reference()}
    return [Unit(unit.number, {**unit.inputs, **named}, unit.work_bytes) for unit in survivor_units(parts, survivors)]


def run(unit: Unit, workspace: Workspace) -> None:
    """Search the part's surviving documents."""
    store, inputs = workspace.store, unit.inputs
    with workspace.timed("load"):
        compile_once("contamination", _use_kernels)
        survivors = column_to_numpy(read_ipc(store, inputs["survivors"]), "doc")
        index = open_index(store, inputs["index"])
        finder = Finder(index, Rule(**workspace.settings["rule"]))
        sets = read_parquet(store, inputs["items"], ["set"]).column("set").combine_chunks()
    set_of = sets.indices.to_numpy()
    names = sets.dictionary.to_pylist()
    with parquet_output(workspace, "places", schemas.ITEM_PLACES, plain=("doc",)) as table:
        for docs, wanted, texts in wanted_texts(workspace, inputs["documents"], survivors, partial(_process, finder)):
            with workspace.timed("search"):
                places = finder(texts, wanted)
            table.write(place_columns(docs, places, index))
            lengths = np.diff(string_buffers(texts)[1])
            _count(workspace, docs, lengths, wanted, places, set_of[index.item[places.entry]], names)
    workspace.count("searched_words", finder.words)
    store.drop_page_cache(inputs["documents"]["path"])


def _use_kernels() -> None:
    """Call every kernel with the types of real work."""
    question = "Seven words and more that an evaluation item has"
    index, _ = build_index(Items(["set"], ["file"], [0], [1], [question], [()]))
    Finder(index, Rule(0.8, 0.7, 8, 10))(pa.array([question], pa.large_string()))


def _process(finder: Finder, texts: pa.Array) -> None:
    """The work, for nothing but to see whether the process lives."""
    fault_point("batch", stage="contamination", texts=texts)
    finder(texts)


def place_columns(docs: NDArray[np.uint64], places: Places, index: ItemIndex) -> Json:
    """Columns of :data:`winnow.schemas.ITEM_PLACES`; ``docs`` uint64[N] are the numbers of the texts."""
    return {
        "doc": docs[places.text],
        "item": index.item[places.entry].astype(np.uint32),
        "by": dictionary_column(places.by, BY),
        "covered": places.covered.astype(np.uint32),
        "words": places.words.astype(np.uint32),
        "begin": places.begin.astype(np.uint64),
        "end": places.end.astype(np.uint64),
    }


def _count(
    workspace: Workspace,
    docs: NDArray[np.uint64],
    lengths: NDArray[np.int64],
    wanted: NDArray[np.bool_],
    places: Places,
    sets: NDArray[np.int64],
    names: list[str],
) -> None:
    """Count documents and bytes: those searched, those that hold an item, and of these by set."""
    workspace.count("searched_documents", wanted.sum())
    workspace.count("searched_bytes", lengths[wanted].sum())
    found = np.unique(places.text)
    workspace.count("contaminated_documents", len(found))
    workspace.count("contaminated_bytes", lengths[found].sum())
    workspace.count("documents_of_more_places", places.cut_short.sum())
    for number in np.unique(sets).tolist():
        mine = np.unique(places.text[sets == number])
        workspace.count(f"contaminated_of/{names[number]}", len(mine))
        workspace.count(f"bytes_of/{names[number]}", lengths[mine].sum())
