"""What verifying by texts adds to the candidates: the shingle set of every distinct text among them, and with a guard
what the text says: its set of runs of three words (behind the shingles), its script and language.

Documents of equal text are one set: a part sends it once, whatever the number of copies, and whoever compares them
looks it up by the hash of the text.

Legend: N documents, S items of their sets, M members.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.dedup.guard import CONTENT_WORDS
from winnow.dedup.shingle_sets import shingle_sets
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.fault_point import fault_point
from winnow.stages.dedup.components import table_of
from winnow.stages.ingest.isolate import probe_in_child
from winnow.stages.ingest.languages import languages_of
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import column_to_numpy, parquet_batches, read_ipc
from winnow.storage.store import Store
from winnow.text.language.identifier import Identifier
from winnow.text.language.sure import sure_languages
from winnow.text.prose import prose_of
from winnow.text.scripts import dominant_scripts
from winnow.text.words import hash_words

SHINGLE_DTYPE = np.dtype(np.uint32)


class TextSets(NamedTuple):
    """What texts say, of N documents."""

    items: NDArray[np.uint32]
    """uint32[S], document after document: its sorted shingles, then its sorted runs of three words."""
    starts: NDArray[np.int64]
    """int64[N + 1], where each document's items begin."""
    shingles: NDArray[np.int64]
    """int64[N], how many of them are shingles: all, without a guard."""
    script: NDArray[np.uint8]
    """uint8[N], 0 without a guard."""
    language: NDArray[np.uint32]
    """uint32[N], 0 without a guard."""


def sizes_stage() -> Stage:
    """How many shingles the candidates of every part have, so that partitions can be as large as they should be."""
    return Stage("candidate_sizes", 1, {}, run_sizes)


def items_a_shingle(*, guarded: bool) -> int:
    """Items that a text sends for each of its shingles, at most: a guard has its runs of three words sent, too."""
    return 2 if guarded else 1


def plan_sizes(parts: list[Part], components: list[Record]) -> list[Unit]:
    """One unit a part."""
    return [
        Unit(
            part.number,
            {"signatures": part.signatures, "components": table_of(components, part.first_doc)},
            part.rows * 28,
        )
        for part in parts
    ]


def run_sizes(unit: Unit, workspace: Workspace) -> None:
    """Count shingles, repeats included: an upper bound of what will be sent."""
    table = read_ipc(workspace.store, unit.inputs["signatures"])
    components = read_ipc(workspace.store, unit.inputs["components"])
    docs = column_to_numpy(table, "doc")
    row, _ = lookup(docs, column_to_numpy(components, "doc"), column_to_numpy(components, "component"))
    row = row[first_of_each_text(column_to_numpy(table, "exact_high")[row], column_to_numpy(table, "exact_low")[row])]
    workspace.count("shingles", column_to_numpy(table, "shingles")[row].sum(dtype=np.int64))


def lookup(
    docs: NDArray[np.uint64], sorted_docs: NDArray[np.uint64], values: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Rows of ``docs`` (rising) that stand in ``sorted_docs``, and their values: int64[M], uint64[M]."""
    if len(docs) == 0 or len(sorted_docs) == 0:
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    first, last = np.searchsorted(sorted_docs, [docs[0], docs[-1] + np.uint64(1)])
    near = sorted_docs[first:last]
    place = np.searchsorted(docs, near)
    found = docs[np.minimum(place, len(docs) - 1)] == near
    return place[found], np.asarray(values[first:last][found])


def first_of_each_text(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Rows, rising, that hold the first document of each text hash: int64[distinct]."""
    order = np.lexsort((low, high))  # stable: among equals the first comes first
    high, low = high[order], low[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    first = np.zeros(len(order), np.bool_)
    first[order[new]] = True
    return np.flatnonzero(first)


def sets_of(
    workspace: Workspace,
    store: Store,
    documents: Json,
    docs: NDArray[np.uint64],
    ngram: int,
    identify: Identifier | None,
) -> TextSets:
    """Sets of some documents of a part, read from their texts.

    Args:
        workspace: of the unit that reads them.
        store: where the part is: the run folder.
        documents: reference to the part's documents table.
        docs: uint64[N], rising.
        ngram: words in a shingle.
        identify: names languages, where a guard will ask what the texts say.

    Raises:
        ValueError: the table lacks some of the documents.
        QuarantineError: some of them end the process that works on them.
    """
    pieces = [_sets(workspace.stage_name, ngram, identify, pa.array([], pa.large_string()))]
    for batch in parquet_batches(store, documents, ["doc", "text"]) if len(docs) else ():
        found = np.flatnonzero(np.isin(batch.column("doc").to_numpy(), docs, assume_unique=True))
        if len(found):
            texts = batch.column("text").take(found)
            work = partial(_sets, workspace.stage_name, ngram, identify)
            probe_in_child(workspace, batch.column("doc").to_numpy()[found], texts, work, store)
            pieces.append(work(texts))
    lengths = np.concatenate([np.diff(piece.starts) for piece in pieces])
    if len(lengths) != len(docs):
        raise ValueError(f"{documents['path']} holds {len(lengths)} of {len(docs)} candidates; it was altered")
    return TextSets(
        np.concatenate([piece.items for piece in pieces]),
        np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
        np.concatenate([piece.shingles for piece in pieces]),
        np.concatenate([piece.script for piece in pieces]),
        np.concatenate([piece.language for piece in pieces]),
    )


def _sets(stage: str, ngram: int, identify: Identifier | None, texts: pa.Array) -> TextSets:
    if len(texts):
        fault_point("batch", stage=stage, texts=texts)
    words = hash_words(texts)
    values, starts = shingle_sets(words.hashes, words.offsets, ngram)
    if identify is None:
        none = np.zeros(len(texts), np.uint32)
        return TextSets(values, starts, np.diff(starts), none.astype(np.uint8), none)
    content, content_starts = shingle_sets(words.hashes, words.offsets, CONTENT_WORDS)
    lengths = np.diff(starts)
    both = starts + content_starts
    items = np.empty(both[-1], np.uint32)
    items[np.arange(len(values)) + np.repeat(both[:-1] - starts[:-1], lengths)] = values
    places = np.repeat(both[:-1] + lengths - content_starts[:-1], np.diff(content_starts))
    items[np.arange(len(content)) + places] = content
    prose = prose_of(texts)
    return TextSets(items, both, lengths, dominant_scripts(texts, prose), sure_languages(prose, identify))


def guard_languages(workspace: Workspace, store: Store) -> Identifier | None:
    """What names the language of halves of texts for a guard; None where the stage's settings have none.

    Args:
        workspace: its settings may have ``language``.
        store: the run folder.
    """
    described = workspace.settings["language"]
    return None if described is None else languages_of(described, store)


def content_sets(sets: TextSets) -> tuple[TextSets, NDArray[np.uint32], NDArray[np.int64]]:
    """The sets apart: shingles alone; and runs of three words, uint32[S] with int64[N + 1], where each begins."""
    lengths = np.diff(sets.starts)
    own = sets.shingles
    is_shingle = np.repeat(np.tile([True, False], len(own)), np.stack([own, lengths - own], axis=1).reshape(-1))
    starts, content_starts = (np.concatenate([[0], np.cumsum(part)]) for part in (own, lengths - own))
    shingles = sets._replace(items=sets.items[is_shingle], starts=starts)
    return shingles, sets.items[~is_shingle], content_starts


def holders(high: NDArray[np.uint64], low: NDArray[np.uint64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The row that has what each row's text sends: int64[M].

    Args:
        high: uint64[M], upper half of each text's hash.
        low: uint64[M], lower half.
        lengths: int64[M], items that each row has in the payload, which is in row order; 0 where an equal text's row
            has them.
    """
    order = np.lexsort((lengths, low, high))  # among equals, those with a set come last
    high, low = high[order], low[order]
    last = np.ones(len(order), np.bool_)
    last[:-1] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    text: NDArray[np.int64] = np.cumsum(last) - last  # number of the text that each ordered row has
    found = np.empty(len(order), np.int64)
    found[order] = order[last][text]
    return found


def bounds_of(holder: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each row's items start and end in the payload: int64[M, 2]; equal texts share those of one of them.

    Args:
        holder: int64[M], of :func:`holders`.
        lengths: int64[M], items that each row has in the payload.
    """
    ends = np.cumsum(lengths)
    return np.stack([ends[holder] - lengths[holder], ends[holder]], axis=1)
