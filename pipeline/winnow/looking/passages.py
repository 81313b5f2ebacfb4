"""The most repeated passages of a finished run: how often each stands, where it stands first, and what it says.

Copies are counted by where they begin in the document that has them first. Tables are read twice, part by part: once to
see which ranges of a hash hold many copies, once to count what lies in these, so memory does not grow with the run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.flow.records import RunRecords
from winnow.looking.texts import ids_of, text_by_document
from winnow.stages.tables import parquet_batches

_BUCKETS = 1 << 20
_LEAST_CHOSEN = 1024
_COLUMNS = ["doc", "begin", "end", "words", "keeper", "keeper_word"]
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class RepeatedPassage:
    """A passage, and its copies."""

    keeper: int
    """The document that has it first."""
    keeper_id: str
    copies: int
    """Places at which it stands again."""
    words: int
    """Of its longest copy."""
    all_words: int
    """Of all copies together."""
    doc: int
    """A document with the longest copy."""
    doc_id: str
    text: str
    """What the copy says, or its beginning."""


class _Groups(NamedTuple):
    """Passages by keeper and word, rising."""

    keeper: NDArray[Any]
    word: NDArray[Any]
    copies: NDArray[Any]
    cut: NDArray[Any]
    words: NDArray[Any]
    doc: NDArray[Any]
    begin: NDArray[Any]
    end: NDArray[Any]


def most_repeated(run: RunRecords, first: int, characters: int) -> list[RepeatedPassage]:
    """The ``first`` passages with most copies, of as many copies the longer ones; ``characters`` of each are given."""
    counts = np.zeros(_BUCKETS, np.int64)
    for rows in _rows(run):
        counts += np.bincount(_bucket(rows), minlength=_BUCKETS)
    chosen, best = max(_LEAST_CHOSEN, 4 * first), _none()
    order = np.argsort(-counts, kind="stable")
    while first and counts.any():
        wanted = np.zeros(_BUCKETS, np.bool_)
        wanted[order[:chosen]] = True
        best = _counted(run, wanted & (counts > 0))
        best = _Groups(*(column[np.lexsort((best.word, best.keeper, -best.words, -best.copies))] for column in best))
        left = int(counts[order[chosen]]) if chosen < _BUCKETS else 0
        if left == 0 or (len(best.copies) >= first and best.copies[first - 1] > left):
            break
        chosen *= 8
    return _told(run, _Groups(*(column[:first] for column in best)), characters)


def _rows(run: RunRecords) -> Iterator[dict[str, NDArray[Any]]]:
    for record in run.of("passage_spans"):
        for batch in parquet_batches(run.store, record.outputs["spans"].reference(), _COLUMNS):
            yield {name: batch.column(name).to_numpy() for name in _COLUMNS}


def _bucket(rows: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
    key = (rows["keeper"].astype(np.uint64) * _MIX) ^ rows["keeper_word"].astype(np.uint64)
    return ((key * _MIX) >> np.uint64(64 - 20)).astype(np.int64)


def _none() -> _Groups:
    kinds = (np.uint64, np.uint32, *(np.int64,) * 3, np.uint64, *(np.int64,) * 2)
    return _Groups(*(np.empty(0, kind) for kind in kinds))


def _counted(run: RunRecords, wanted: NDArray[np.bool_]) -> _Groups:
    """All passages in wanted buckets."""
    found = _none()
    for rows in _rows(run):
        mine = wanted[_bucket(rows)]
        words = rows["words"][mine].astype(np.int64)
        pieces = (
            rows["keeper"][mine], rows["keeper_word"][mine], np.ones(len(words), np.int64), words, words,
            rows["doc"][mine], rows["begin"][mine], rows["end"][mine],
        )  # fmt: skip
        found = _joined(_Groups(*(np.concatenate(pair) for pair in zip(found, pieces, strict=True))))
    return found


def _joined(rows: _Groups) -> _Groups:
    """Rows of one passage as one; its longest copy, of these the first, stands for it."""
    if len(rows.keeper) == 0:
        return rows
    rows = _Groups(
        *(column[np.lexsort((rows.begin, rows.doc, -rows.words, rows.word, rows.keeper))] for column in rows)
    )
    new = np.ones(len(rows.keeper), np.bool_)
    new[1:] = (rows.keeper[1:] != rows.keeper[:-1]) | (rows.word[1:] != rows.word[:-1])
    begins = np.flatnonzero(new)
    copies, cut = np.add.reduceat(rows.copies, begins), np.add.reduceat(rows.cut, begins)
    return _Groups(*(column[begins] for column in rows))._replace(copies=copies, cut=cut)


def _told(run: RunRecords, found: _Groups, characters: int) -> list[RepeatedPassage]:
    docs = set(found.doc.tolist())
    texts, ids = text_by_document(run, docs), ids_of(run, docs | set(found.keeper.tolist()))
    return [
        RepeatedPassage(
            keeper,
            ids[keeper],
            copies,
            words,
            cut,
            doc,
            ids[doc],
            texts[doc].encode()[begin : min(end, begin + 4 * characters)].decode(errors="ignore")[:characters],
        )
        for keeper, _word, copies, cut, words, doc, begin, end in zip(
            *(column.tolist() for column in found), strict=True
        )
    ]
