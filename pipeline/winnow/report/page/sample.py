"""Documents that the page draws its shapes from: all of a small run, whole parts evenly over a large one.

What the page states as numbers comes from counters of the whole run; the sample gives histograms, shares and examples.

Legend: N documents of the sample.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow import schemas
from winnow.flow.records import RunRecords
from winnow.looking.rule_values import NamedRuleValues, cuts_of, read_signals, rules_of_part
from winnow.stages.tables import column_to_numpy, read_parquet

MOST_DOCUMENTS = 200_000
"""Documents that a sample holds at most, but for the part that reaches it: 30 rules of them are 50 MB."""


class RuleSample(NamedTuple):
    """One rule on N documents."""

    name: str
    is_min: bool
    threshold: float | None
    """None where sources or languages have their own."""
    value: NDArray[np.float32]
    """[N], NaN where there is none or the rule does not apply."""
    fails: NDArray[np.bool_]
    is_match: bool
    """About where a document comes from: there is no threshold to be near to."""


class Sample(NamedTuple):
    """N documents, rising by number."""

    parts: int
    """Read, of all."""
    docs: NDArray[np.uint64]
    source: NDArray[np.str_]
    language: NDArray[np.str_]
    """`unknown` where none was found."""
    outcome: NDArray[np.str_]
    characters: NDArray[np.int64]
    keeper: NDArray[np.uint64]
    """NO_DOC where there is none."""
    similarity: NDArray[np.float32]
    """NaN where there is none."""
    rules: list[RuleSample]

    @property
    def kept(self) -> NDArray[np.bool_]:
        """[N] documents that were kept."""
        return np.asarray(self.outcome == schemas.KEPT, bool)

    @property
    def failed(self) -> NDArray[np.int64]:
        """[N] rules that each document fails."""
        return np.asarray(np.sum([rule.fails for rule in self.rules], axis=0), np.int64)


def take_sample(run: RunRecords, most: int = MOST_DOCUMENTS) -> Sample:
    """Read the sample of a run."""
    chosen = chosen_parts([part.rows for part in run.parts], most)
    cuts = cuts_of(run, run.config.filter)
    columns: dict[str, list[NDArray[np.generic]]] = {}
    rules: dict[str, tuple[NamedRuleValues, set[float], list[NDArray[np.float32]], list[NDArray[np.bool_]]]] = {}
    for number in chosen:
        signals = read_signals(run, number)
        table = read_parquet(
            run.store,
            run.ledger[number].outputs["decisions"].reference(),
            ["doc", "outcome", "keeper", "similarity"],
        ).combine_chunks()
        for name, values in (
            ("docs", column_to_numpy(table, "doc")),
            ("source", _names(signals, "source")),
            ("language", _names(signals, "language")),
            ("outcome", _names(table, "outcome")),
            ("characters", column_to_numpy(signals, "characters").astype(np.int64)),
            ("keeper", pc.fill_null(table.column("keeper"), int(schemas.NO_DOC)).to_numpy()),
            ("similarity", table.column("similarity").to_numpy().astype(np.float32)),
        ):
            columns.setdefault(name, []).append(values)
        for rule in rules_of_part(run, run.config.filter, cuts, signals, number):
            _, thresholds, value, fails = rules.setdefault(rule.name, (rule, set(), [], []))
            thresholds |= set(np.unique(rule.threshold[~np.isnan(rule.threshold)]).tolist())
            value.append(np.where(rule.applies, rule.value, np.nan).astype(np.float32))
            fails.append(rule.fails)
    joined = {name: np.concatenate(values) for name, values in columns.items()}
    found = [
        RuleSample(
            name,
            first.is_min,
            thresholds.pop() if len(thresholds) == 1 else None,
            np.concatenate(value),
            np.concatenate(fails),
            first.is_match,
        )
        for name, (first, thresholds, value, fails) in rules.items()
    ]
    return Sample(len(chosen), **joined, rules=found) if chosen else _empty()


def chosen_parts(rows: list[int], most: int = MOST_DOCUMENTS) -> list[int]:
    """Parts evenly over all, so many that they hold about ``most`` rows."""
    total = sum(rows)
    if total <= most:
        return list(range(len(rows)))
    count = max(1, len(rows) * most // total)
    return sorted({number * len(rows) // count for number in range(count)})


def _names(table: pa.Table, column: str) -> NDArray[np.str_]:
    codes = pc.fill_null(table.column(column).cast(pa.string()), "unknown").combine_chunks().dictionary_encode()
    found: NDArray[np.str_] = np.array(codes.dictionary.to_pylist(), np.str_)[codes.indices.to_numpy()]
    return found


def _empty() -> Sample:
    names, numbers = np.empty(0, np.str_), np.empty(0, np.uint64)
    return Sample(0, numbers, names, names, names, np.empty(0, np.int64), numbers, np.empty(0, np.float32), [])
