"""Which windows stood before, and which words are cut for it.

The one definition: a window is *repeated* if an equal one begins before it in document order, in an earlier document
or at an earlier word of the same one; a word is cut if it lies in a repeated window. Of a stretch of text that repeats
itself, one period is left. Where the earlier window stands (its first copy of all) is named, whether or not words of
it are cut for a still earlier one: then these stand there.

Windows come in *runs*: of one document, each a word behind the one before. A repeated run's copies are a run, too.

Legend: R runs, W windows, Q repeated runs.
"""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel


class Runs(NamedTuple):
    """Runs of windows."""

    doc: NDArray[Any]
    """uint64[R]."""
    word: NDArray[Any]
    """uint32[R] first word of the first window."""
    windows: NDArray[Any]
    """uint32[R] windows."""


class Repeats(NamedTuple):
    """Runs of repeated windows, and where these stood first."""

    doc: NDArray[Any]
    """uint64[Q]."""
    word: NDArray[Any]
    """uint32[Q] first word of the first window."""
    windows: NDArray[Any]
    """uint32[Q] windows."""
    keeper: NDArray[Any]
    """uint64[Q] the document that had them first."""
    keeper_word: NDArray[Any]
    """uint32[Q] first word there."""

    @classmethod
    def none(cls) -> Self:
        """No run."""
        return cls(*(np.empty(0, kind) for kind in (np.uint64, np.uint32, np.uint32, np.uint64, np.uint32)))

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Those at ``rows``."""
        return type(self)(*(column[rows] for column in self))


def first_copies(runs: Runs, hashes: NDArray[np.uint64], key: NDArray[np.uint64] | None = None) -> NDArray[np.int64]:
    """Where each window's first copy stands: int64[W], its own place for the first.

    Args:
        runs: of the windows, R, in document order.
        hashes: uint64[W] of the windows.
        key: uint64[R]: windows of runs with different ones are never equal. None: nothing is known.
    """
    first = np.arange(len(hashes))
    if len(hashes) == 0:
        return first
    order = np.arange(len(runs.doc)) if key is None else np.argsort(key, kind="stable")
    starts = np.concatenate([[0], np.cumsum(runs.windows, dtype=np.int64)])
    new = np.zeros(len(order) + 1, np.bool_)
    new[[0, -1]] = True
    if key is not None:
        new[1:-1] = key[order[1:]] != key[order[:-1]]
    bounds = np.flatnonzero(new)
    most = np.add.reduceat(np.diff(starts)[order], bounds[:-1]).max()
    _first_of_equal(hashes, starts, order, bounds, np.empty(_slots(int(most)), np.int64), first)
    return first


def repeats_of(runs: Runs, first: NDArray[np.int64]) -> Repeats:
    """Runs of the windows whose first copy is another.

    Args:
        runs: of all windows, R.
        first: int64[W] of :func:`first_copies`.
    """
    run_of = np.repeat(np.arange(len(runs.doc)), runs.windows)
    starts = np.concatenate([[0], np.cumsum(runs.windows, dtype=np.int64)])
    room = int((first != np.arange(len(first))).sum())
    columns = [np.empty(room, np.int64) for _ in range(5)]
    number = _repeats(starts, runs.doc, runs.word.astype(np.int64), run_of, first, *columns)
    at, copy, count, _, word = (column[:number] for column in columns)
    source = run_of[copy]
    keeper_word = runs.word[source] + (copy - starts[source])
    return Repeats(
        runs.doc[run_of[at]],
        word.astype(np.uint32),
        count.astype(np.uint32),
        runs.doc[source],
        keeper_word.astype(np.uint32),
    )


def only_first(
    runs: Runs, hashes: NDArray[np.uint64], wanted: NDArray[np.bool_], first: NDArray[np.int64]
) -> tuple[Runs, NDArray[np.int64], NDArray[np.uint64]]:
    """The windows of wanted runs bool[R] that are the first of their kind.

    Returns:
        Their runs, of which run each is a piece (int64), and the windows' hashes, run by run.
    """
    keep = (first == np.arange(len(first))) & np.repeat(wanted, runs.windows)
    run_of = np.repeat(np.arange(len(runs.doc)), runs.windows)
    starts = np.concatenate([[0], np.cumsum(runs.windows, dtype=np.int64)])
    chosen = np.flatnonzero(keep)
    new = np.ones(len(chosen), np.bool_)
    new[1:] = (np.diff(chosen) != 1) | (np.diff(run_of[chosen]) != 0)
    begins = np.flatnonzero(new)
    owner = run_of[chosen[begins]]
    word = runs.word[owner] + (chosen[begins] - starts[owner])
    count = np.diff(np.concatenate([begins, [len(chosen)]]))
    return Runs(runs.doc[owner], word.astype(np.uint32), count.astype(np.uint32)), owner, hashes[chosen]


def resolve(here: Repeats, elsewhere: Repeats) -> Repeats:
    """All repeated runs of some documents, by document and word; runs that go on in one copy are one.

    Args:
        here: windows whose first copy among these documents is another; that one may have an earlier one still.
        elsewhere: windows, the first among these documents, whose first copy stands in documents before.
    """
    order = np.lexsort((elsewhere.word, elsewhere.doc))
    known = elsewhere.take(order)
    moved = _follow(here, known)
    every = Repeats(*(np.concatenate(pair) for pair in zip(known, moved, strict=True)))
    every = every.take(np.lexsort((every.word, every.doc)))
    if len(every.doc) == 0:
        return every
    word, count, place = every.word.astype(np.int64), every.windows.astype(np.int64), every.keeper_word.astype(np.int64)
    goes_on = (
        (every.doc[1:] == every.doc[:-1])
        & (every.keeper[1:] == every.keeper[:-1])
        & (word[1:] == word[:-1] + count[:-1])
        & (place[1:] == place[:-1] + count[:-1])
    )
    begins = np.flatnonzero(np.concatenate([[True], ~goes_on]))
    joined = every.take(begins)
    return joined._replace(windows=np.add.reduceat(count, begins).astype(np.uint32))


def _follow(here: Repeats, known: Repeats) -> Repeats:
    """``here``, each window with the copy of its copy where that has one."""
    if len(here.doc) == 0 or len(known.doc) == 0:
        return here
    arguments = (
        here.keeper, here.keeper_word.astype(np.int64), here.windows.astype(np.int64),
        known.doc, known.word.astype(np.int64), known.windows.astype(np.int64),
        known.keeper, known.keeper_word.astype(np.int64),
    )  # fmt: skip
    nothing = np.empty(0, np.int64)
    room = _pieces(*arguments, nothing, nothing, nothing, np.empty(0, np.uint64), nothing, False)
    run, offset, count, word = (np.empty(room, np.int64) for _ in range(4))
    keeper = np.empty(room, np.uint64)
    _pieces(*arguments, run, offset, count, keeper, word, True)
    start = here.word[run] + offset
    return Repeats(here.doc[run], start.astype(np.uint32), count.astype(np.uint32), keeper, word.astype(np.uint32))


class WordRanges(NamedTuple):
    """Words that are cut, S ranges by document and word, none beside another."""

    doc: NDArray[Any]
    """uint64[S]."""
    begin: NDArray[Any]
    """int64[S] first word."""
    end: NDArray[Any]
    """int64[S] behind the last."""

    def of_documents(self, docs: NDArray[np.uint64]) -> "WordRanges":
        """Those of some documents."""
        mine = np.isin(self.doc, docs)
        return WordRanges(*(column[mine] for column in self))


def cut_words(repeats: Repeats, length: int) -> WordRanges:
    """The words that lie in repeated windows of ``length`` words; ``repeats`` by document and word."""
    begin = repeats.word.astype(np.int64)
    end = begin + repeats.windows.astype(np.int64) - 1 + length
    if len(begin) == 0:
        return WordRanges(repeats.doc, begin, end)
    new = np.ones(len(begin), np.bool_)
    new[1:] = (repeats.doc[1:] != repeats.doc[:-1]) | (begin[1:] > end[:-1])  # windows of one length: ends rise, too
    first = np.flatnonzero(new)
    last = np.concatenate([first[1:], [len(begin)]]) - 1
    return WordRanges(repeats.doc[first], begin[first], end[last])


@kernel
def _slots(windows: int) -> int:
    slots = 4
    while slots < 2 * windows:
        slots *= 2
    return slots


@kernel
def _first_of_equal(hashes: Any, starts: Any, order: Any, bounds: Any, table: Any, first: Any) -> None:
    """Group by group of runs through one hash table of windows, which for most groups fits in a processor's cache."""
    for group in range(len(bounds) - 1):
        windows = 0
        for place in range(bounds[group], bounds[group + 1]):
            windows += starts[order[place] + 1] - starts[order[place]]
        slots = _slots(windows)
        mask = slots - 1
        table[:slots] = -1
        for place in range(bounds[group], bounds[group + 1]):
            for window in range(starts[order[place]], starts[order[place] + 1]):
                slot = np.int64(hashes[window] & np.uint64(mask))
                while table[slot] >= 0 and hashes[table[slot]] != hashes[window]:
                    slot = (slot + 1) & mask
                if table[slot] >= 0:
                    first[window] = table[slot]
                else:
                    table[slot] = window


@kernel
def _repeats(
    starts: Any, doc: Any, word: Any, run_of: Any, first: Any, at: Any, copy: Any, count: Any, last: Any, begins: Any
) -> int:
    """Join windows behind each other whose copies lie behind each other in one run, too."""
    number = 0
    for run in range(len(doc)):
        going = False
        for window in range(starts[run], starts[run + 1]):
            copied = first[window]
            if copied == window:
                going = False
                continue
            if going and copied == last[number - 1] + 1 and run_of[copied] == run_of[copied - 1]:
                count[number - 1] += 1
                last[number - 1] = copied
                continue
            at[number], copy[number], count[number], last[number] = window, copied, 1, copied
            begins[number] = word[run] + window - starts[run]
            number += 1
            going = True
    return number


@kernel
def _pieces(
    doc: Any, word: Any, count: Any, known_doc: Any, known_word: Any, known_count: Any, known_keeper: Any,
    known_place: Any, run_of: Any, offset_of: Any, count_of: Any, keeper_of: Any, word_of: Any, fill: bool,
) -> int:  # fmt: skip
    """Cut runs where the copy of their copy changes; counts the pieces, and writes them down to ``fill``."""
    number = 0
    for run in range(len(doc)):
        low, high = 0, len(known_doc)
        while low < high:  # the first known run of the document that ends behind the first window
            middle = (low + high) // 2
            if known_doc[middle] < doc[run] or (
                known_doc[middle] == doc[run] and known_word[middle] + known_count[middle] <= word[run]
            ):
                low = middle + 1
            else:
                high = middle
        at, end = word[run], word[run] + count[run]
        while at < end:
            there = low < len(known_doc) and known_doc[low] == doc[run] and known_word[low] < end
            if there and known_word[low] <= at:
                stop = min(end, known_word[low] + known_count[low])
                if fill:
                    keeper_of[number] = known_keeper[low]
                    word_of[number] = known_place[low] + at - known_word[low]
                low += 1
            else:
                stop = known_word[low] if there else end
                if fill:
                    keeper_of[number] = doc[run]
                    word_of[number] = at
            if fill:
                run_of[number], offset_of[number], count_of[number] = run, at - word[run], stop - at
            number += 1
            at = stop
    return number
