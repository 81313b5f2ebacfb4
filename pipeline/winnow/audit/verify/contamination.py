"""Does the ledger say of evaluation items what the texts say? Coverage is counted again, in plain Python."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from winnow import schemas
from winnow.audit.verify.streams import Spread
from winnow.engine.records import Json
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance
from winnow.looking.texts import text_by_document
from winnow.operators.files import local_copy
from winnow.stages.decontaminate import items as items_stage
from winnow.stages.decontaminate.search import rule_of
from winnow.stages.tables import column_to_numpy, read_ipc, read_parquet
from winnow.text.contamination.item_index import GRAM, least_of
from winnow.text.contamination.items import Items
from winnow.text.words import hash_words

SAMPLE = 512
"""Places that are looked at again, spread evenly over all."""


def check_contamination(run: RunRecords) -> list[Balance]:
    """Documents left out against those with places, and places against their texts; nothing without the step."""
    config = run.config.decontaminate
    if config is None or not run.of("contamination"):
        return []
    some = Spread(SAMPLE)
    wrong = documents = 0
    for number, searched in enumerate(run.of("contamination")):
        places = read_parquet(run.store, searched.outputs["places"].reference())
        held = set(places.column("doc").to_pylist())
        if run.of("contamination_spans"):
            whole = run.of("contamination_spans")[number].outputs["whole"].reference()
            held &= set(column_to_numpy(read_ipc(run.store, whole), "doc").tolist())
        decided = run.of("decontaminate")[number].outputs["decisions"].reference()
        table = read_parquet(run.store, decided, ["doc", "outcome"])
        left_out = table.filter(pc.equal(table.column("outcome"), schemas.CONTAMINATED)).column("doc").to_pylist()
        documents += len(held | set(left_out))
        wrong += len(held ^ set(left_out))
        some.add(places)
    chosen = some.rows().to_pylist()
    texts = text_by_document(run, {row["doc"] for row in chosen})
    items = _items(run) if chosen else Items()
    rule = rule_of(config)
    right = 0
    for row in chosen:
        held_there = texts[row["doc"]].encode()[row["begin"] : row["end"]].decode()
        least = least_of(row["words"], rule.question if row["by"] == "question" else rule.with_answer, rule.exact_below)
        right += row["covered"] >= least and row["covered"] in _covered(items, row, held_there)
    return [
        Balance("documents that hold an evaluation item and are left out", documents, documents - wrong),
        Balance("sampled places at which a text holds as much of an item as is written", len(chosen), right),
    ]


def _items(run: RunRecords) -> Items:
    """The items as the run read them, from the files in its folder."""
    (made,) = run.of("evaluation_items")
    paths = [Path(local_copy(run.store, file["path"])) for file in made.metadata["files"]]
    assert run.config.decontaminate is not None
    settings = items_stage.stage(run.config.decontaminate.sets).settings["sets"]
    return items_stage.read_sets(settings, paths, [path.name for path in paths])


def _covered(items: Items, row: Json, text: str) -> set[int]:
    """Words of the item that a text's runs of five cover: with each answer that has the place's number of words."""
    question, answers = items.question[row["item"]], items.answers[row["item"]]
    tails = [""] if row["by"] == "question" else answers
    words = _words(text)
    held = {tuple(words[i : i + GRAM]) for i in range(len(words) - GRAM + 1)}
    found = set()
    for tail in tails:
        wanted = _words(question) + _words(tail)
        covered = {
            i + k for i in range(len(wanted) - GRAM + 1) if tuple(wanted[i : i + GRAM]) in held for k in range(GRAM)
        }
        if len(wanted) == row["words"]:
            found.add(len(covered))
    return found


def _words(text: str) -> list[int]:
    hashes: list[int] = np.asarray(hash_words(pa.array([text], pa.large_string())).hashes).tolist()
    return hashes
