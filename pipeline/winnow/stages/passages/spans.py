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
from winnow.text.passages.stretches import JOINT, stretches_of
from winnow.text.words import hash_words

KIND = "passages"
SHORT = pa.schema([("doc", pa.uint64()), ("words", pa.uint32()), ("keeper", pa.uint64())])
"""Documents that are left out, the words that would be left, and who has most of the others; NO_DOC: nobody else."""


def stage(length: int, min_words: int) -> Stage:
    """The stage: words of a window, and fewest that a document keeps."""
    return Stage("passage_spans", 1, {"words": length, "min_words": min_words}, run)


def plan(parts: list[Part], found: list[Record], listing: Json, edits: list[list[Json]]) -> list[Unit]:
    """One unit a part; ``listing`` says where the repeats of windows are, ``edits`` are those of steps before."""
    units = [
        Unit(
            part.number,
            {
                "documents": part.documents,
                "copies": record.outputs["copies"].reference(),
                "repeats": listing,
                "place": place,
            },
            part.text_bytes,
        )
        for place, (part, record) in enumerate(zip(parts, found, strict=True))
    ]
    return with_edits(units, edits)


def run(unit: Unit, workspace: Workspace) -> None:
    """Settle the passages of the part's documents."""
    store, length = workspace.store, workspace.settings["words"]
    with workspace.timed("load"):
        compile_kernels()
        copies = read_ipc(store, unit.inputs["copies"])
        elsewhere = read_partition(store, unit.inputs["repeats"], unit.inputs["place"])
        repeats = resolve(_repeats(copies), Repeats(*(elsewhere[name] for name in Repeats._fields)))
        cut, before = cut_words(repeats, length), read_edits(store, unit.inputs)
        named = read_parquet(store, unit.inputs["documents"], ["doc", "source"]) if len(cut.doc) else None
    short: list[_Short] = []
    with (
        parquet_output(workspace, "edits", schemas.EDITS, plain=("doc",)) as edits,
        parquet_output(workspace, "spans", schemas.PASSAGES, plain=("doc",)) as spans,
    ):
        for docs, texts in texts_of(workspace, unit.inputs["documents"], np.unique(cut.doc)):
            with workspace.timed("places"):
                here = _passages(docs, texts, repeats, length)
                mine = cut.of_documents(docs)
                made = _edits(docs, texts, mine)
            with workspace.timed("left"):
                left = _words_left(docs, texts, before, made)
            gone = left < workspace.settings["min_words"]
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


def _passages(docs: NDArray[np.uint64], texts: pa.Array, repeats: Repeats, length: int) -> dict[str, NDArray[Any]]:
    """The table's columns for some documents: runs in full, though one may begin before the last one ends."""
    mine = repeats.take(np.flatnonzero(np.isin(repeats.doc, docs)))
    row, word = np.searchsorted(docs, mine.doc), mine.word.astype(np.int64)
    words = mine.windows.astype(np.int64) - 1 + length
    last = word + words
    return {
        "doc": mine.doc,
        "begin": stretches_of(texts, row, word, word + 1, clinging=False).begin,
        "end": stretches_of(texts, row, last - 1, last, clinging=False).end,
        "word": mine.word,
        "words": words.astype(np.uint32),
        "keeper": mine.keeper,
        "keeper_word": mine.keeper_word,
    }


def _edits(docs: NDArray[np.uint64], texts: pa.Array, cut: WordRanges) -> Edits:
    doc = cut.doc
    places = stretches_of(texts, np.searchsorted(docs, doc), cut.begin, cut.end, clinging=True)
    replacement = dictionary_column(places.inside.astype(np.int64), ["", JOINT])
    return Edits(doc, places.begin, places.end, replacement, dictionary_column(np.zeros(len(doc), np.int64), [KIND]))


def _words_left(docs: NDArray[np.uint64], texts: pa.Array, before: Edits, made: Edits) -> NDArray[np.int64]:
    """int64[N], words of each text as it would leave, with the edits of all steps made."""
    edited, _ = edited_columns(docs, texts, None, merge_edits([before.of_documents(docs), made]))
    return np.diff(hash_words(edited).offsets)


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
    words = np.bincount(np.searchsorted(docs, cut.doc), cut.end - cut.begin, len(docs)).astype(np.int64)
    workspace.count("repeated_words", words.sum())
    workspace.count("cut_documents", (~gone).sum())
    workspace.count("cut_words", words[~gone].sum())
    workspace.count("cut_bytes", (kept.end - kept.start).sum())
    count_by_source(workspace, "cut_documents", source, (~gone).astype(np.int64))
    count_by_source(workspace, "short_documents", source, gone.astype(np.int64))
    count_by_source(workspace, "cut_words", source, np.where(gone, 0, words))
