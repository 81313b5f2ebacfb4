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
from winnow.storage.store import Store
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
    short: list[_Short] = []
    with (
        parquet_output(workspace, "edits", schemas.EDITS, plain=("doc",)) as edits,
        parquet_output(workspace, "spans", schemas.PASSAGES, plain=("doc",)) as spans,
    ):
        for docs, texts in texts_of(workspace, unit.inputs["documents"], np.unique(cut.doc)):
            with workspace.timed("places"):
                here = _passages(docs, texts, repeats, length)
                made = _edits(docs, texts, cut)
            with workspace.timed("left"):
                left = _words_left(docs, texts, before, made)
            gone = left < workspace.settings["min_words"]
            spans.write(here)
            short.append(_short(docs, left, gone, here))
            kept = made.take(~np.isin(made.doc, docs[gone]))
            edits.write(kept.columns())
            _count(workspace, docs, gone, kept, here, _sources(store, unit.inputs["documents"], docs))
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


def pieces_of(repeats: Repeats, length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First word and end of what is told of each run, int64[Q] twice: up to where the next begins, if that is sooner.

    So every word that is cut is told of once; ``repeats`` by document and word.
    """
    begin = repeats.word.astype(np.int64)
    end = begin + repeats.windows.astype(np.int64) - 1 + length
    same = repeats.doc[1:] == repeats.doc[:-1]
    end[:-1] = np.where(same, np.minimum(end[:-1], begin[1:]), end[:-1])
    return begin, end


def _passages(docs: NDArray[np.uint64], texts: pa.Array, repeats: Repeats, length: int) -> dict[str, NDArray[Any]]:
    """The table's columns for some documents."""
    mine = repeats.take(np.flatnonzero(np.isin(repeats.doc, docs)))
    begin, end = pieces_of(mine, length)
    places = stretches_of(texts, np.searchsorted(docs, mine.doc), begin, end, clinging=False)
    return {
        "doc": mine.doc,
        "begin": places.begin,
        "end": places.end,
        "word": mine.word,
        "words": (end - begin).astype(np.uint32),
        "keeper": mine.keeper,
        "keeper_word": mine.keeper_word,
    }


def _edits(docs: NDArray[np.uint64], texts: pa.Array, cut: WordRanges) -> Edits:
    mine = np.flatnonzero(np.isin(cut.doc, docs))
    doc = cut.doc[mine]
    places = stretches_of(texts, np.searchsorted(docs, doc), cut.begin[mine], cut.end[mine], clinging=True)
    replacement = dictionary_column(places.inside.astype(np.int64), ["", JOINT])
    return Edits(doc, places.begin, places.end, replacement, dictionary_column(np.zeros(len(doc), np.int64), [KIND]))


def _words_left(docs: NDArray[np.uint64], texts: pa.Array, before: Edits, made: Edits) -> NDArray[np.int64]:
    """int64[N], words of each text as it would leave, with the edits of all steps made."""
    edited, _ = edited_columns(docs, texts, None, merge_edits([before.of_documents(docs), made]))
    return np.diff(hash_words(edited).offsets)


def _short(
    docs: NDArray[np.uint64], left: NDArray[np.int64], gone: NDArray[np.bool_], here: dict[str, NDArray[Any]]
) -> _Short:
    """The documents that go, each with the other document that has most of its words; of several the first."""
    chosen = docs[gone]
    doc, keeper = here["doc"].astype(np.uint64), here["keeper"].astype(np.uint64)
    rows = np.flatnonzero(np.isin(doc, chosen) & (keeper != doc))
    order = rows[np.lexsort((keeper[rows], doc[rows]))]
    keepers = np.full(len(chosen), schemas.NO_DOC)
    if len(order):
        new = np.ones(len(order), np.bool_)
        new[1:] = (doc[order[1:]] != doc[order[:-1]]) | (keeper[order[1:]] != keeper[order[:-1]])
        begins = np.flatnonzero(new)
        words = np.add.reduceat(here["words"][order].astype(np.int64), begins)
        owner, named = doc[order[begins]], keeper[order[begins]]
        best = np.lexsort((named, -words, owner))
        found, at = np.unique(owner[best], return_index=True)
        keepers[np.searchsorted(chosen, found)] = named[best[at]]
    return _Short(chosen, left[gone].astype(np.uint32), keepers)


def _sources(store: Store, documents: Json, docs: NDArray[np.uint64]) -> pa.Array:
    table = read_parquet(store, documents, ["doc", "source"])
    rows = np.searchsorted(column_to_numpy(table, "doc"), docs)
    return table.column("source").take(pa.array(rows)).combine_chunks().cast(pa.string())


def _count(
    workspace: Workspace,
    docs: NDArray[np.uint64],
    gone: NDArray[np.bool_],
    kept: Edits,
    here: dict[str, NDArray[Any]],
    source: pa.Array,
) -> None:
    row = np.searchsorted(docs, here["doc"])
    words = np.bincount(row, here["words"], len(docs)).astype(np.int64)
    workspace.count("passages", len(row))
    workspace.count("repeated_words", words.sum())
    workspace.count("cut_documents", (~gone).sum())
    workspace.count("cut_words", words[~gone].sum())
    workspace.count("cut_bytes", (kept.end - kept.start).sum())
    count_by_source(workspace, "cut_documents", source, (~gone).astype(np.int64))
    count_by_source(workspace, "short_documents", source, gone.astype(np.int64))
    count_by_source(workspace, "cut_words", source, np.where(gone, 0, words))
