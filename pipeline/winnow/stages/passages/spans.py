"""Passage spans: which stretches of a part's documents stand in the corpus before, and what is cut for it.

Three tables: ``edits`` (what is cut where texts leave), ``spans`` (every repeated passage, and where it stands first),
and ``short`` (documents of which fewer than ``min_words`` words would be left: these are left out, and nothing is cut).
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.stages.edits import edited_columns, read_edits, with_edits
from winnow.stages.ingest.measure import Part
from winnow.stages.passages.anchors import read_blocks
from winnow.stages.passages.searched import compile_kernels, count_by_source, texts_of
from winnow.stages.tables import (
    column_to_numpy,
    dictionary_column,
    ipc_output,
    parquet_output,
    read_ipc,
    read_parquet,
    read_partition,
)
from winnow.text.edits import Edits, merge_edits
from winnow.text.passages.repeats import Repeats, WordRanges, cut_words, resolve
from winnow.text.passages.stretches import JOINT, count_words, cuts_of, word_places
from winnow.text.passages.windows import BLOCK, Blocks

KIND = "passages"
SHORT = pa.schema([("doc", pa.uint64()), ("words", pa.uint32()), ("keeper", pa.uint64())])
"""Documents that are left out, the words that would be left, and who has most of the others; NO_DOC: nobody else."""


def stage(length: int, min_words: int) -> Stage:
    """The stage: words of a window, and fewest that a document keeps."""
    return Stage("passage_spans", 2, {"words": length, "min_words": min_words}, run)


def plan(
    parts: list[Part], anchored: list[Record], found: list[Record], listing: Json, edits: list[list[Json]]
) -> list[Unit]:
    """One unit a part; ``listing`` says where the repeats of windows are, ``edits`` are those of steps before."""
    units = [
        Unit(
            part.number,
            {
                "documents": part.documents,
                "blocks": blocks.outputs["blocks"].reference(),
                "copies": record.outputs["copies"].reference(),
                "repeats": listing,
                "place": place,
            },
            part.text_bytes,
        )
        for place, (part, blocks, record) in enumerate(zip(parts, anchored, found, strict=True))
    ]
    return with_edits(units, edits)


def run(unit: Unit, workspace: Workspace) -> None:
    """Settle the passages of the part's documents."""
    store, length, least = workspace.store, workspace.settings["words"], workspace.settings["min_words"]
    with workspace.timed("load"):
        compile_kernels()
        copies = read_ipc(store, unit.inputs["copies"])
        elsewhere = read_partition(store, unit.inputs["repeats"], unit.inputs["place"])
        repeats = resolve(_repeats(copies), Repeats(*(elsewhere[name] for name in Repeats._fields)))
        cut, before = cut_words(repeats, length), read_edits(store, unit.inputs)
        named = read_parquet(store, unit.inputs["documents"], ["doc", "source"]) if len(cut.doc) else None
        searched, every = read_blocks(store, unit.inputs["blocks"])
    short: list[_Short] = []
    with (
        parquet_output(workspace, "edits", schemas.EDITS, plain=("doc",)) as edits,
        parquet_output(workspace, "spans", schemas.PASSAGES, plain=("doc",)) as spans,
    ):
        for docs, row, texts in texts_of(workspace, unit.inputs["documents"], np.unique(cut.doc)):
            with workspace.timed("places"):
                mine = cut.of_documents(docs)
                blocks = every.renamed(np.searchsorted(searched, docs), row)
                here, made = _passages(docs, row, texts, blocks, repeats, mine, length)
            with workspace.timed("left"):
                sure = BLOCK * (np.bincount(blocks.text, minlength=len(texts))[row] - 1) - _words_of(docs, mine)
                left = _words_left(docs, row, texts, before, made, sure, least)
            gone = left < least
            spans.write(here)
            short.append(_short(docs, left, gone, here, length))
            kept = made.take(~np.isin(made.doc, docs[gone]))
            edits.write(kept.columns())
            _count(workspace, docs, gone, kept, mine, _sources(named, docs))
            workspace.count("passages", len(here["doc"]))
            workspace.count("lost_words", left[gone].sum())
    with ipc_output(workspace, "short", SHORT) as table:
        for few in short:
            table.write(few._asdict())
    workspace.count("short_documents", sum(len(few.doc) for few in short))


class _Short(NamedTuple):
    doc: NDArray[np.uint64]
    words: NDArray[np.uint32]
    keeper: NDArray[np.uint64]


def _repeats(table: pa.Table) -> Repeats:
    return Repeats(*(column_to_numpy(table, name) for name in Repeats._fields))


def _passages(
    docs: NDArray[np.uint64],
    row: NDArray[np.int64],
    texts: pa.Array,
    blocks: Blocks,
    repeats: Repeats,
    cut: WordRanges,
    length: int,
) -> tuple[dict[str, NDArray[Any]], Edits]:
    """For some documents, in rows of texts, the table's columns, and what is cut.

    The table has runs in full, though one may begin before the last one ends.
    """
    mine = repeats.take(np.flatnonzero(np.isin(repeats.doc, docs)))
    row, cut_row = row[np.searchsorted(docs, mine.doc)], row[np.searchsorted(docs, cut.doc)]
    word, words = mine.word.astype(np.int64), mine.windows.astype(np.int64) - 1 + length
    last = word + words - 1
    rows = np.concatenate([row, row, cut_row, cut_row])
    places = word_places(texts, blocks, rows, np.concatenate([word, last, cut.begin, cut.end - 1]))
    columns = {
        "doc": mine.doc,
        "begin": places.start[places.of(row, word)],
        "end": places.end[places.of(row, last)],
        "word": mine.word,
        "words": words.astype(np.uint32),
        "keeper": mine.keeper,
        "keeper_word": mine.keeper_word,
    }
    gone = cuts_of(texts, places, cut_row, cut.begin, cut.end)
    replacement = dictionary_column(gone.inside.astype(np.int64), ["", JOINT])
    kind = dictionary_column(np.zeros(len(cut.doc), np.int64), [KIND])
    return columns, Edits(cut.doc, gone.begin, gone.end, replacement, kind)


def _words_left(
    docs: NDArray[np.uint64],
    row: NDArray[np.int64],
    texts: pa.Array,
    before: Edits,
    made: Edits,
    sure: NDArray[np.int64],
    most: int,
) -> NDArray[np.int64]:
    """int64[N], words of each text as it would leave, with the edits of all steps made; ``most`` are counted.

    ``sure`` int64[N] are words that the edits of this step leave at least: where they are enough, and no other step has
    edits, nothing is counted.
    """
    left = np.full(len(docs), most)
    unsure = np.flatnonzero((sure < most) | np.isin(docs, before.doc))
    few = docs[unsure]
    edits = merge_edits([before.of_documents(few), made.of_documents(few)])
    edited, _ = edited_columns(few, texts.take(pa.array(row[unsure])), None, edits)
    left[unsure] = count_words(edited, most)
    return left


def _words_of(docs: NDArray[np.uint64], cut: WordRanges) -> NDArray[np.int64]:
    """int64[N], words that are cut of each document."""
    return np.bincount(np.searchsorted(docs, cut.doc), cut.end - cut.begin, len(docs)).astype(np.int64)


def _short(
    docs: NDArray[np.uint64],
    left: NDArray[np.int64],
    gone: NDArray[np.bool_],
    here: dict[str, NDArray[Any]],
    length: int,
) -> _Short:
    """The documents that go, each with the other document that has most of its windows; of several the first."""
    chosen = docs[gone]
    rows = np.flatnonzero(np.isin(here["doc"], chosen) & (here["keeper"] != here["doc"]))
    order = rows[np.lexsort((here["keeper"][rows], here["doc"][rows]))]
    doc, keeper = here["doc"][order], here["keeper"][order]
    keepers = np.full(len(chosen), schemas.NO_DOC)
    if len(order):
        new = np.ones(len(order), np.bool_)
        new[1:] = (doc[1:] != doc[:-1]) | (keeper[1:] != keeper[:-1])
        begins = np.flatnonzero(new)
        windows = np.add.reduceat(here["words"][order].astype(np.int64) - length + 1, begins)
        owner, named = doc[begins], keeper[begins]
        best = np.lexsort((named, -windows, owner))
        found, at = np.unique(owner[best], return_index=True)
        keepers[np.searchsorted(chosen, found)] = named[best[at]]
    return _Short(chosen, left[gone].astype(np.uint32), keepers)


def _sources(named: pa.Table, docs: NDArray[np.uint64]) -> pa.Array:
    rows = np.searchsorted(column_to_numpy(named, "doc"), docs)
    return named.column("source").take(pa.array(rows)).combine_chunks().cast(pa.string())


def _count(
    workspace: Workspace,
    docs: NDArray[np.uint64],
    gone: NDArray[np.bool_],
    kept: Edits,
    cut: WordRanges,
    source: pa.Array,
) -> None:
    words = _words_of(docs, cut)
    workspace.count("repeated_words", words.sum())
    workspace.count("cut_documents", (~gone).sum())
    workspace.count("cut_words", words[~gone].sum())
    workspace.count("cut_bytes", (kept.end - kept.start).sum())
    count_by_source(workspace, "cut_documents", source, (~gone).astype(np.int64))
    count_by_source(workspace, "short_documents", source, gone.astype(np.int64))
    count_by_source(workspace, "cut_words", source, np.where(gone, 0, words))
