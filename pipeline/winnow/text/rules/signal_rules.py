"""Rules on any signal, built-in or an operator's: a bound by value, or by quantile of the corpus.

A bound is the last value that is kept: a document fails ``min`` where its value is smaller, ``max`` where it is
larger. A quantile ``q`` of n values is the one of rank ceil(q * n) in rising order, the smallest for q = 0 (nearest
rank; numpy's ``inverted_cdf``), over all readable documents that the rule is about and that have a value; with ``by``,
of each source or language apart. A document without a value fails no rule, unless ``missing: drop``.

Legend: N documents.
"""

import math
from fractions import Fraction
from typing import Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, model_validator

from winnow.section import Names, Section, Share

_PLAIN = r"[A-Za-z_][A-Za-z0-9_-]*"


class SignalRule(Section):
    """One rule: a signal, and what a document's value may be."""

    signal: str = Field(min_length=1)
    """Name of a signal: a built-in one (docs/rules.md), or an operator's."""
    name: str | None = Field(None, pattern=f"^{_PLAIN}$")
    """What the tables and `winnow why` call it; none given: `min_SIGNAL` or `max_SIGNAL`."""
    min: float | None = None
    """Smallest value that is kept."""
    max: float | None = None
    """Largest value that is kept."""
    min_quantile: Share | None = None
    """In place of `min`: 0.7 keeps about the 30 % of documents with the largest values."""
    max_quantile: Share | None = None
    """In place of `max`: 0.9 drops about the 10 % of documents with the largest values."""
    by: Literal["source", "language"] | None = None
    """Quantiles of each source, or of each language, instead of all documents together."""
    sources: Names | None = None
    """Sources that the rule is about; none given: all."""
    languages: Names | None = None
    """Languages that it is about, as ISO 639-1 codes; none given: all."""
    missing: Literal["keep", "drop"] = "keep"
    """What happens to a document that has no value."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not self.bounds:
            raise ValueError("give min, max, min_quantile or max_quantile")
        for one, other in (("min", "min_quantile"), ("max", "max_quantile")):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise ValueError(f"give {one} or {other}, not both")
        if self.by is not None and self.min_quantile is None and self.max_quantile is None:
            raise ValueError("by is for quantiles: give min_quantile or max_quantile")
        return self

    @property
    def bounds(self) -> list["Bound"]:
        """One for each direction that is bounded."""
        found = []
        for direction in ("min", "max"):
            value, quantile = getattr(self, direction), getattr(self, f"{direction}_quantile")
            if value is not None or quantile is not None:
                name = self.name or f"{direction}_{self.signal}"
                found.append(Bound(name, direction == "min", value, quantile, self))
        return found


class Bound(NamedTuple):
    """A rule in one direction."""

    name: str
    is_min: bool
    value: float | None
    quantile: float | None
    """Exactly one of the two is given."""
    rule: SignalRule


def bounds_of(rules: tuple[SignalRule, ...]) -> list[Bound]:
    """The bounds of all rules, in order."""
    return [bound for rule in rules for bound in rule.bounds]


def quantile_bounds(rules: tuple[SignalRule, ...]) -> list[Bound]:
    """Those that ask for a quantile, in order; their number in the tables of cuts is their place here."""
    return [bound for bound in bounds_of(rules) if bound.quantile is not None]


def rule_names(rules: tuple[SignalRule, ...]) -> list[str]:
    """Names of all rules, each once, in order."""
    return list(dict.fromkeys(bound.name for bound in bounds_of(rules)))


def rank_of(quantile: float, values: int) -> int:
    """Rank, from 1, of a quantile among so many values; exact, of the decimal that the config gives."""
    return max(1, math.ceil(Fraction(repr(quantile)) * values))


class Column(NamedTuple):
    """A signal of N documents."""

    values: NDArray[np.float64]
    """[N], NaN where there is none."""
    single: bool
    """Whether it is stored in single precision, in which thresholds are then compared."""


def column_of(signals: pa.Table, name: str) -> Column:
    """A column of the signals table."""
    column = signals.column(name)
    values = column.to_numpy().astype(np.float64)
    return Column(values, pa.types.is_float32(column.type))


def applies_to(rule: SignalRule, signals: pa.Table) -> NDArray[np.bool_]:
    """bool[N]: the rule is about the document."""
    about = np.ones(signals.num_rows, bool)
    for name, chosen in (("source", rule.sources), ("language", rule.languages)):
        if chosen is not None:
            about &= _among(signals.column(name), chosen)
    return about


def _among(column: pa.ChunkedArray, chosen: tuple[str, ...]) -> NDArray[np.bool_]:
    found = pc.is_in(column.cast(pa.string()), value_set=pa.array(chosen, pa.string()))
    return np.asarray(found.to_numpy(), bool)


class BoundFailures(NamedTuple):
    """Documents that fail one bound."""

    row: NDArray[np.int64]
    value: NDArray[np.float64]
    """NaN for a document without a value."""
    threshold: NDArray[np.float64]


def failures_of(bound: Bound, signals: pa.Table, cuts: dict[str | None, float] | None) -> BoundFailures:
    """Documents that fail a bound, rising by row.

    Args:
        bound: one of :func:`bounds_of`.
        signals: N rows with ``source``, ``language`` and the signal.
        cuts: of a quantile, the threshold of each group (of ``None`` alone without ``by``); a group without any value
            has none.
    """
    rule, value = bound.rule, column_of(signals, bound.rule.signal).values
    threshold = thresholds_of(bound, signals, cuts)
    fails = value < threshold if bound.is_min else value > threshold  # never for NaN
    if rule.missing == "drop" and bound == rule.bounds[0]:
        fails |= np.isnan(value)
    row = np.flatnonzero(fails & applies_to(rule, signals))
    return BoundFailures(row.astype(np.int64), value[row], threshold[row])


def thresholds_of(bound: Bound, signals: pa.Table, cuts: dict[str | None, float] | None) -> NDArray[np.float64]:
    """float64[N]: what each document's value is compared with (arguments of :func:`failures_of`); NaN for nothing."""
    if bound.value is None:
        threshold = _thresholds(bound.rule, signals, cuts or {})
    else:
        threshold = np.full(signals.num_rows, bound.value)
    single = column_of(signals, bound.rule.signal).single
    return threshold.astype(np.float32).astype(np.float64) if single else threshold


def _thresholds(rule: SignalRule, signals: pa.Table, cuts: dict[str | None, float]) -> NDArray[np.float64]:
    if rule.by is None:
        return np.full(signals.num_rows, cuts.get(None, np.nan))
    groups = signals.column(rule.by).cast(pa.string()).combine_chunks().dictionary_encode()
    names = [*groups.dictionary.to_pylist(), None]
    by_code = np.array([cuts.get(name, np.nan) for name in names])
    codes = groups.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False)
    found: NDArray[np.float64] = by_code[codes]
    return found
