"""The order that a sample is drawn in, range by range, so that nobody holds all documents.

A row is what the order looks at: a document's source, level and key as numbers that sort as they do
(:func:`sortable`), and the document itself; and its tokens. A range is a stretch of that order. The sample is what
stands before its *limit*, the first document that does not fit the budget any more: tokens by range tell within a few
documents of each source where that is, so that only the ranges around it are looked into (:func:`find_limit`).

Legend: N rows, R ranges, S sources (one, where the order does not look at them).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = dict[str, NDArray[Any]]
"""The columns of ``ORDER``, and ``tokens`` int64[N]."""
ORDER = ("source", "level", "key", "doc")
"""uint16[N], uint64[N], uint64[N], uint64[N]; the order is by the first, then by the second, and so on."""
Start = tuple[int, int, int, int]
"""Where a range begins: a row's ``ORDER``."""
_STEPS = 2100
"""Halvings after which two levels are neighbours among all numbers of 64 bits."""


def sortable(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    """uint64[N] in the order of float64[N]: equal for equal numbers, and NaN behind all others."""
    bits = (np.where(np.isnan(values), np.nan, values) + 0.0).view(np.uint64)  # -0.0 + 0.0 is 0.0
    sign = np.uint64(1 << 63)
    return np.where(bits & sign, ~bits, bits | sign)


def in_order(rows: Rows) -> Rows:
    """The rows, sorted."""
    order = np.lexsort([rows[name] for name in reversed(ORDER)])
    return {name: column[order] for name, column in rows.items()}


def range_starts(drawn: list[Start], sources: int, ranges: int) -> list[Start]:
    """Where ranges begin that hold about as many documents each, rising; each source begins one.

    Args:
        drawn: rows of documents drawn at random.
        sources: S.
        ranges: about how many.
    """
    found = sorted(drawn)
    between = {found[number * len(found) // ranges] for number in range(1, ranges) if found}
    return sorted({(source, 0, 0, 0) for source in range(sources)} | between)


def by_range(rows: Rows, starts: list[Start]) -> tuple[Rows, NDArray[np.int64]]:
    """The rows, sorted, and the range int64[N] of each. The first range begins before all rows."""
    begins = dict(zip(ORDER, np.array(starts, np.uint64).T, strict=True))
    both = [np.concatenate([begins[name].astype(rows[name].dtype), rows[name]]) for name in reversed(ORDER)]
    order = np.lexsort(both)  # stable, so a range begins before the row that it is named after
    is_row = order >= len(starts)
    place = np.cumsum(~is_row) - 1
    order = order[is_row] - len(starts)
    return {name: column[order] for name, column in rows.items()}, place[is_row]


class Ranges(NamedTuple):
    """What ranges hold, int64[R] each."""

    source: NDArray[np.int64]
    documents: NDArray[np.int64]
    tokens: NDArray[np.int64]
    largest: NDArray[np.int64]
    """Tokens of the largest document; 0 where there is none."""

    def of_sources(self, held: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64[S]: ``held`` int64[R] by source."""
        sums = np.zeros(int(self.source[-1]) + 1, np.int64)
        np.add.at(sums, self.source, held)
        return sums

    def before(self, held: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64[R]: of ``held`` int64[R], what the ranges before each one in its source hold."""
        ends = np.cumsum(held) - held
        first = np.searchsorted(self.source, self.source)  # sources rise
        return ends - ends[first]

    def levels(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """float64[R] twice: no document of a range has a level below the first, or over the second."""
        before, weight = self.before(self.tokens), weights[self.source]
        with np.errstate(invalid="ignore"):
            return before / weight, (before + self.tokens) / weight

    def beyond(self, limit: "Limit", weights: NDArray[np.float64]) -> NDArray[np.int64]:
        """int64[K]: the ranges that may hold documents that do not stand before the limit."""
        _, last = self.levels(weights)
        return np.flatnonzero((self.documents > 0) & ~(last < limit.level))


def levels_of(rows: Rows, tokens_before: int, weight: float) -> NDArray[np.float64]:
    """float64[N]: of the sorted rows of a range, the tokens before each in its source, over the source's weight."""
    with np.errstate(invalid="ignore"):  # a source without tokens weighs nothing; its documents come last
        level: NDArray[np.float64] = (tokens_before + np.cumsum(rows["tokens"]) - rows["tokens"]) / np.float64(weight)
    return level


class Limit(NamedTuple):
    """The first document that is left out."""

    level: float
    key: int
    doc: int
    range: int
    place: int
    """Rows before it in its range."""

    def left_out(self, rows: Rows, level: NDArray[np.float64]) -> NDArray[np.bool_]:
        """bool[N]: which rows, at these levels, do not stand before it."""
        mine, place = sortable(np.array([self.level]))[0], sortable(level)
        after = (rows["key"] > np.uint64(self.key)) | (
            (rows["key"] == np.uint64(self.key)) & (rows["doc"] >= np.uint64(self.doc))
        )
        out: NDArray[np.bool_] = (place > mine) | ((place == mine) & after)
        return out


def find_limit(ranges: Ranges, weights: NDArray[np.float64], budget: int, read: Callable[[int], Rows]) -> Limit | None:
    """Where the sample ends; None where everything fits. ``read`` gives the sorted rows of a range.

    Args:
        ranges: what the ranges hold.
        weights: float64[S], of the sources.
        budget: tokens.
        read: a few ranges of each source are asked for, one after the other.
    """
    if int(ranges.tokens.sum()) <= budget:
        return None
    low, high = _window(ranges, weights, budget)
    before, weight = ranges.before(ranges.tokens), weights[ranges.source]
    first, last = ranges.levels(weights)
    filled, found = int(ranges.tokens[last < low].sum()), []
    for number in np.flatnonzero((ranges.documents > 0) & (last >= low) & (first <= high)).tolist():
        rows = read(number)
        level = levels_of(rows, int(before[number]), float(weight[number]))
        filled += int(rows["tokens"][level < low].sum())
        near = np.flatnonzero((level >= low) & (level <= high))
        kept = {name: rows[name][near] for name in ("key", "doc", "tokens")}
        found.append(kept | {"level": level[near], "range": np.full(len(near), number), "place": near})
    window = {name: np.concatenate([piece[name] for piece in found]) for name in found[0]}
    order = np.lexsort([window[name] for name in ("doc", "key", "level")])
    at = order[int(np.searchsorted(filled + np.cumsum(window["tokens"][order]), budget, side="right"))]
    return Limit(float(window["level"][at]), *(int(window[name][at]) for name in ("key", "doc", "range", "place")))


def _window(ranges: Ranges, weights: NDArray[np.float64], budget: int) -> tuple[float, float]:
    """Two levels: documents below the first surely fit the budget, those up to the second surely do not.

    A source is filled up to a level by level times weight tokens, or by all it has; and by less than one document more.
    """
    tokens, largest = ranges.of_sources(ranges.tokens).astype(np.float64), np.zeros(len(weights))
    np.maximum.at(largest, ranges.source, ranges.largest)
    there = tokens > 0
    tokens, largest, weights = tokens[there], largest[there], weights[there]
    top = float((tokens / weights).max())

    def last_below(most: float, more: NDArray[np.float64]) -> float:
        """The largest level up to which sources hold ``most`` tokens at most; 0 where there is none."""
        low, high = 0.0, top
        for _ in range(_STEPS):
            middle = low + (high - low) / 2
            if not low < middle < high:
                break
            fits = np.minimum(tokens, middle * weights + more).sum() <= most
            low, high = (middle, high) if fits else (low, middle)
        return low

    low, high = last_below(budget, largest), last_below(budget + 0.5, np.zeros(len(weights)))
    return low, min(top, high * (1 + 1e-9) + np.finfo(float).tiny)
