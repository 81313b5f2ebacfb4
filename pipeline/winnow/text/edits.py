"""Edits: which stretches of stored texts are replaced, or cut, where texts leave.

Stored text never changes after ``measure``. A step that takes something out of kept documents (personal data,
passages of an evaluation set, repeated passages) writes down where; all edits of all steps are merged, and applied by
:func:`apply_edits` wherever a text leaves: to the tokeniser, to files of clean text, to somebody's screen.

Legend: N documents, E edits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers, strings_from_buffers
from winnow.numeric.jit import kernel
from winnow.schemas import EDITS

CUT = ""
"""The replacement of a stretch that goes without a trace."""


@dataclass(frozen=True)
class Edits:
    """Stretches of documents and what stands in their place; sorted by document and start, none over another.

    Places are bytes of the stored text in UTF-8, and lie between characters.
    """

    doc: NDArray[np.uint64]
    """uint64[E]."""
    start: NDArray[np.int64]
    """int64[E]."""
    end: NDArray[np.int64]
    """int64[E], behind the last byte; more than ``start``."""
    replacement: pa.DictionaryArray
    """dictionary<int32, string>[E]; "" cuts."""
    kind: pa.DictionaryArray
    """dictionary<int32, string>[E]: what it is, for counts and for people: ``pii.email``."""

    def __len__(self) -> int:
        return len(self.doc)

    @staticmethod
    def of(table: pa.Table) -> "Edits":
        """The edits of a table of the schema ``EDITS``, or of several that follow each other."""
        columns = {name: table.column(name).combine_chunks() for name in EDITS.names}
        names = {name: _one_array(columns[name]) for name in ("replacement", "kind")}
        return Edits(*(columns[name].to_numpy() for name in ("doc", "start", "end")), **names)

    @staticmethod
    def none() -> "Edits":
        """No edit."""
        return Edits.of(EDITS.empty_table())

    def columns(self) -> dict[str, Any]:
        """The columns of the table; dictionaries hold what occurs, in the order in which it occurs."""
        names = {name: getattr(self, name).dictionary_decode().dictionary_encode() for name in ("replacement", "kind")}
        return {"doc": self.doc, "start": self.start, "end": self.end, **names}

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Edits":
        """Those at rows (rising), or where a mask is true."""
        chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        names = [getattr(self, name).take(pa.array(chosen)) for name in ("replacement", "kind")]
        return Edits(self.doc[chosen], self.start[chosen], self.end[chosen], *names)

    def of_documents(self, docs: NDArray[np.uint64]) -> "Edits":
        """Those of documents uint64[N], rising."""
        if len(docs) == 0 or len(self) == 0:
            return self.take(np.empty(0, np.int64))
        place = np.minimum(np.searchsorted(docs, self.doc), len(docs) - 1)
        return self.take(docs[place] == self.doc)


def apply_edits(docs: NDArray[np.uint64], texts: pa.Array, edits: Edits) -> pa.Array:
    """Texts with every edit of theirs made.

    Args:
        docs: uint64[N], rising.
        texts: large_string[N], as stored.
        edits: of these documents or of more.

    Returns:
        large_string[N]; ``texts`` itself where nothing changes.

    Raises:
        ValueError: an edit does not fit its text, or lies over another: the table is not of these texts.
    """
    mine = edits.of_documents(docs)
    if len(mine) == 0:
        return texts
    row = np.searchsorted(docs, mine.doc)
    data, offsets = string_buffers(texts)
    starts, ends = offsets[row] + mine.start, offsets[row] + mine.end
    _check(mine, starts, ends, offsets[row + 1])
    new, new_offsets = string_buffers(mine.replacement.dictionary.cast(pa.large_string()))
    code = mine.replacement.indices.to_numpy()
    change = np.zeros(len(docs), np.int64)
    np.add.at(change, row, np.diff(new_offsets)[code] - (ends - starts))
    sizes = np.diff(offsets) + change
    target_offsets = np.concatenate([[0], np.cumsum(sizes)])
    target = np.empty(int(target_offsets[-1]), np.uint8)
    _splice(data, int(offsets[0]), int(offsets[-1]), starts, ends, new, new_offsets, code, target)
    return strings_from_buffers(target, target_offsets)


def merge_edits(several: Sequence[Edits]) -> Edits:
    """The edits of several steps as one.

    Stretches that lie over one another become one, from the first start to the last end; it is replaced as the one
    that begins first, of those that begin alike the longest, of those alike the earlier step's.
    """
    filled = [edits for edits in several if len(edits)]
    if len(filled) < 2:
        return filled[0] if filled else Edits.none()
    tables = [pa.table(edits.columns(), EDITS).unify_dictionaries() for edits in filled]
    every = Edits.of(pa.concat_tables(tables).unify_dictionaries())
    step = np.repeat(np.arange(len(filled)), [len(edits) for edits in filled])
    every = every.take(np.lexsort((step, -every.end, every.start, every.doc)))
    first, end = _groups(every.doc, every.start, every.end)
    kept = every.take(first)
    return Edits(kept.doc, kept.start, end[first], kept.replacement, kept.kind)


def edits_from(rows: Iterable[tuple[int, int, int, str, str]]) -> Edits:
    """Edits of plain rows (doc, start, end, replacement, kind), in order: for few of them, and for tests."""
    listed = list(rows)
    names = EDITS.names
    columns = {
        name: pa.array([row[place] for row in listed], EDITS.field(name).type if place < 3 else pa.string())
        for place, name in enumerate(names)
    }
    return Edits.of(pa.table({name: columns[name].cast(EDITS.field(name).type) for name in names}, EDITS))


def _one_array(column: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """A column of an empty table stays chunked."""
    return column if isinstance(column, pa.Array) else pa.array([], column.type)


def _check(edits: Edits, starts: NDArray[np.int64], ends: NDArray[np.int64], limit: NDArray[np.int64]) -> None:
    wrong = (edits.start < 0) | (ends <= starts) | (ends > limit)
    wrong[1:] |= starts[1:] < ends[:-1]
    if wrong.any():
        place = int(np.argmax(wrong))
        raise ValueError(
            f"edit {edits.start[place]} to {edits.end[place]} ({edits.kind[place]}) of document {edits.doc[place]} "
            "does not fit its text, or lies over another; the tables of edits and of texts do not belong together"
        )


def _groups(
    doc: NDArray[np.uint64], start: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First of each group of stretches that lie over one another, and at these places the group's end: int64[E]."""
    last, first = np.copy(end), np.zeros(len(doc), np.bool_)
    _group(doc, start, last, first)
    return np.flatnonzero(first), last


@kernel
def _group(doc: NDArray[np.uint64], start: NDArray[np.int64], end: NDArray[np.int64], first: NDArray[np.bool_]) -> None:
    """Mark the first of each group, and raise its end."""
    head = 0
    for index in range(len(doc)):
        if index == 0 or doc[index] != doc[head] or start[index] >= end[head]:
            head = index
            first[index] = True
        elif end[index] > end[head]:
            end[head] = end[index]


@kernel
def _splice(
    data: NDArray[np.uint8],
    begin: int,
    stop: int,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    new: NDArray[np.uint8],
    new_offsets: NDArray[np.int64],
    code: NDArray[np.int32],
    target: NDArray[np.uint8],
) -> None:
    """Copy ``data[begin:stop]`` with the replacement ``code[e]`` in place of ``data[starts[e]:ends[e]]``."""
    at = begin
    written = 0
    for edit in range(len(starts)):
        for index in range(starts[edit] - at):
            target[written + index] = data[at + index]
        written += starts[edit] - at
        place = new_offsets[code[edit]]
        length = new_offsets[code[edit] + 1] - place
        for index in range(length):
            target[written + index] = new[place + index]
        written += length
        at = ends[edit]
    for index in range(stop - at):
        target[written + index] = data[at + index]
