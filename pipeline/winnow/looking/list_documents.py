"""Documents of a finished run by what became of them: outcome, rule, source, language, nearness to the threshold.

Tables are read part by part, texts of the documents that are listed alone; memory does not grow with the run.

Legend: N documents of a part.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow import schemas
from winnow.errors import ConfigError
from winnow.flow.flow import enabled_steps
from winnow.flow.operators import rules_on, rules_on_spans
from winnow.flow.provenance import rules_on_provenance
from winnow.flow.records import RunRecords
from winnow.flow.redact import limits_of
from winnow.looking.rule_values import cuts_of, read_signals, rules_of_part, verdicts_of
from winnow.looking.texts import parts_holding, shown_texts
from winnow.stages.quantiles import Cuts
from winnow.stages.tables import column_to_numpy, read_parquet
from winnow.suggest import meant_or_known
from winnow.text.rules.signal_rules import rule_names

Order = Literal["input", "sample", "near"]
"""Which of the documents are listed: the first, a uniform sample that is the same each time, or those nearest to the
threshold. They are listed in input order, but nearest first."""


@dataclass(frozen=True)
class Wanted:
    """Which documents are meant: those that fit all that is given."""

    kept: bool = False
    outcome: str | None = None
    rule: str | None = None
    """That a document failed, alone or with others; of kept documents, that was asked of them."""
    sources: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listed:
    """One document of a listing."""

    doc: int
    id: str
    source: str
    language: str | None
    outcome: str
    rule: str | None
    """The rule that was asked for, or the first one that the document failed."""
    value: float | None
    threshold: float | None
    more_rules: int
    """Others that it failed besides."""
    keeper: int | None
    similarity: float | None
    split: str | None
    text: str
    """Its beginning."""


class Listing(NamedTuple):
    """What was found."""

    found: int
    """Documents that fit."""
    documents: list[Listed]


class _Fits(NamedTuple):
    """M documents that fit."""

    docs: NDArray[np.uint64]
    rank: NDArray[np.float64]
    """[M]: the smallest are listed."""
    value: NDArray[np.float64]
    """[M] of the rule that was asked for; NaN without one."""
    threshold: NDArray[np.float64]

    def take(self, where: NDArray[Any]) -> "_Fits":
        """Some of them, by mask or place."""
        return _Fits(*(column[where] for column in self))


def list_documents(run: RunRecords, wanted: Wanted, order: Order, first: int, characters: int) -> Listing:
    """Find documents, and give ``first`` of them with ``characters`` of their texts.

    Raises:
        ConfigError: the run has no such outcome, rule or source; or ``near`` is asked of what has no threshold.
    """
    _check(run, wanted, order)
    cuts = cuts_of(run, run.config.filter) if wanted.kept and wanted.rule else []
    found, chosen = 0, _Fits(np.empty(0, np.uint64), *(np.empty(0) for _ in range(3)))
    for number in range(len(run.parts)):
        fits = _fits(run, number, wanted, order, cuts)
        found += len(fits.docs)
        both = _Fits(*(np.concatenate(pair) for pair in zip(chosen, fits, strict=True)))
        chosen = both.take(np.lexsort((both.docs, both.rank))[:first])
    if order == "sample":
        chosen = chosen.take(np.argsort(chosen.docs))
    rows = _by_number(run, chosen, wanted.rule, characters)
    return Listing(found, [rows[doc] for doc in chosen.docs.tolist()])


def listed_documents(run: RunRecords, docs: set[int], characters: int) -> dict[int, Listed]:
    """Some readable documents by number, each with the first rule that it failed."""
    numbers = np.array(sorted(docs), np.uint64)
    nothing = np.full(len(numbers), np.nan)
    return _by_number(run, _Fits(numbers, nothing, nothing, nothing), None, characters)


def _by_number(run: RunRecords, chosen: _Fits, rule: str | None, characters: int) -> dict[int, Listed]:
    rows: dict[int, Listed] = {}
    for number, places in parts_holding(run, chosen.docs):
        mine = chosen.take(places[np.argsort(chosen.docs[places])])
        rows |= {row.doc: row for row in _rows(run, number, mine, rule, characters)}
    return rows


def rules_of(run: RunRecords, *, kept: bool) -> list[str]:
    """Names of the rules that documents were asked; of dropped documents, those of later steps as well."""
    config = run.config.filter
    sets = [
        f"{name}.{rule.setting}"
        for name, rule_set in config.rule_sets.items()
        for rule in rule_set.rules
        if getattr(rule_set, rule.setting) is not None
    ]
    own = [
        name
        for gpu in ((False,) if kept else (False, True))
        for name in [*rule_names(rules_on(run.config, gpu=gpu)), *verdicts_of(run, gpu=gpu)]
    ]
    if not kept and run.of("redact"):
        own += rule_names((*rules_on_spans(run.config), *limits_of(run.config)))
    language = ["language"] if config.languages is not None else []
    # where documents come from has no values that those that were kept could be near
    origin = () if kept else rules_on_provenance(config)
    later = [] if kept else [rule for step in enabled_steps(run.config) for rule in step.reasons]
    return list(dict.fromkeys(["empty", *origin, *language, *sets, *own, *later]))


def _check(run: RunRecords, wanted: Wanted, order: Order) -> None:
    outcomes = [schemas.KEPT] if wanted.kept else [name for name in schemas.LEDGER_OUTCOMES if name != schemas.KEPT]
    asked = [("outcome", wanted.outcome, outcomes), ("rule", wanted.rule, rules_of(run, kept=wanted.kept))]
    sources = [configured.name for configured in run.config.sources]
    for what, name, there in [*asked, *(("source", name, sources) for name in wanted.sources)]:
        if name is not None and name not in there:
            # records that could not be read are listed by the command itself
            listed = [*there, "unreadable"] if what == "outcome" and not wanted.kept else there
            raise ConfigError(f"{name!r}: the run has no such {what}; {meant_or_known(name, listed)}")
    if order == "near" and wanted.kept and wanted.rule is None:
        raise ConfigError("kept documents near a threshold: name the rule, such as --rule gopher_quality.min_words")


def _fits(run: RunRecords, number: int, wanted: Wanted, order: Order, cuts: Cuts) -> _Fits:
    columns = ["doc", "outcome", "rule", "value", "threshold", "similarity"]
    table = read_parquet(run.store, run.ledger[number].outputs["decisions"].reference(), columns).combine_chunks()
    docs = column_to_numpy(table, "doc")
    kept = _is(table, "outcome", schemas.KEPT)
    fits = kept if wanted.kept else ~kept
    if wanted.outcome is not None:
        fits = fits & _is(table, "outcome", wanted.outcome)
    if wanted.sources or wanted.languages:
        fits = fits & _among(run, number, wanted)
    value, threshold = np.full(len(docs), np.nan), np.full(len(docs), np.nan)
    if wanted.rule is not None and wanted.kept:
        found = next(
            values
            for values in rules_of_part(run, run.config.filter, cuts, read_signals(run, number), number)
            if values.name == wanted.rule
        )
        value, threshold = found.value, found.threshold
        fits = fits & found.applies & ~np.isnan(value) & ~np.isnan(threshold)
    elif wanted.rule is not None:
        rule = _is(table, "rule", wanted.rule)
        value[rule], threshold[rule] = (column_to_numpy(table, name)[rule] for name in ("value", "threshold"))
        for failures in _failures(run, number):
            mine = failures.filter(pc.equal(failures.column("rule"), wanted.rule))
            where = np.searchsorted(docs, column_to_numpy(mine, "doc"))
            rule[where] = True
            value[where], threshold[where] = (column_to_numpy(mine, name) for name in ("value", "threshold"))
        fits = fits & rule
    if order == "near":
        distance = _distance(run, number, table, docs) if wanted.rule is None else _relative(value, threshold)
        fits = fits & ~np.isnan(distance)
        rank = distance
    else:
        rank = docs.astype(np.float64) if order == "input" else _spread(docs)
    return _Fits(docs, rank, value, threshold).take(fits)


def _among(run: RunRecords, number: int, wanted: Wanted) -> NDArray[np.bool_]:
    """[N] documents of the sources and languages that are meant."""
    signals = read_parquet(run.store, run.parts[number].signals, ["source", "language"])
    fits = np.ones(signals.num_rows, bool)
    for name, meant in (("source", wanted.sources), ("language", wanted.languages)):
        if meant:
            there = signals.column(name).cast(pa.string())
            fits &= np.asarray(pc.is_in(there, value_set=pa.array(meant, pa.string())), bool)
    return fits


def _failures(run: RunRecords, number: int) -> Iterator[pa.Table]:
    """Tables of failed rules of a part: those of the filter, and those of operators on GPUs."""
    for stage in ("filter", "screen", "redact"):
        for record in run.of(stage)[number : number + 1]:
            yield read_parquet(run.store, record.outputs["failures"].reference())


def _is(table: pa.Table, column: str, value: str) -> NDArray[np.bool_]:
    """[N] whether a column of names, which may have none, holds this one."""
    return np.asarray(pc.fill_null(pc.equal(table.column(column), value), False), bool)


def _relative(value: NDArray[np.float64], threshold: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far values lie from their thresholds, in units of the threshold where that is not 0."""
    unit = np.where(threshold == 0, 1.0, np.abs(threshold))
    return np.asarray(np.abs(value - threshold) / unit, np.float64)


def _distance(run: RunRecords, number: int, table: pa.Table, docs: NDArray[np.uint64]) -> NDArray[np.float64]:
    """[N] from being kept: of a filtered document the largest over its failed rules, since all must be met."""
    value, threshold = (column_to_numpy(table, name) for name in ("value", "threshold"))
    far = _relative(value.astype(np.float64), threshold.astype(np.float64))
    if run.config.dedup is not None:
        near = _is(table, "outcome", schemas.NEAR_DUPLICATE)
        similarity = column_to_numpy(table, "similarity").astype(np.float64)
        limit = np.full(len(docs), run.config.dedup.threshold)
        far[near] = _relative(similarity, limit)[near]
    for failures in _failures(run, number):
        where = np.searchsorted(docs, column_to_numpy(failures, "doc"))
        columns = (column_to_numpy(failures, name).astype(np.float64) for name in ("value", "threshold"))
        np.fmax.at(far, where, _relative(*columns))
    return far


def _spread(docs: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Numbers in [0, 1) that look drawn, from document numbers: the finaliser of SplitMix64 (Steele et al. 2014)."""
    x = docs + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((x ^ (x >> np.uint64(31))) / 2.0**64, np.float64)


def _rows(run: RunRecords, number: int, chosen: _Fits, rule: str | None, characters: int) -> Iterator[Listed]:
    """The documents of a part, rising by number."""
    part = run.parts[number]
    decisions = _only(read_parquet(run.store, run.ledger[number].outputs["decisions"].reference()), chosen.docs)
    signals = _only(read_parquet(run.store, part.signals, ["doc", "language"]), chosen.docs)
    failed: dict[int, int] = {}
    for failures in _failures(run, number):
        for doc in _only(failures, chosen.docs).column("doc").to_pylist():
            failed[doc] = failed.get(doc, 0) + 1
    names = dict(names_of(run, number, chosen.docs))
    texts = shown_texts(run, set(chosen.docs.tolist())) if characters else {}
    rows = zip(decisions.to_pylist(), signals.column("language").to_pylist(), *chosen[2:], strict=True)
    for decision, language, value, threshold in rows:
        doc = decision["doc"]
        known, source = names[doc]
        if rule is not None:
            decision |= {"rule": rule, "value": float(value), "threshold": float(threshold)}
        told = {
            key: decision[key] for key in ("outcome", "rule", "value", "threshold", "keeper", "similarity", "split")
        }
        more = failed.get(doc, 0) - (0 if rule is None and decision["rule"] is None else 1)
        yield Listed(
            doc, known, source, language, **told, more_rules=max(0, more), text=texts.get(doc, "")[:characters]
        )


_TOLD = ("outcome", "rule", "value", "threshold", "keeper", "similarity", "split")
"""Columns of the decisions that a listing shows."""


def _only(table: pa.Table, docs: NDArray[np.uint64]) -> pa.Table:
    return table.filter(pc.is_in(table.column("doc"), value_set=pa.array(docs)))


def names_of(run: RunRecords, number: int, docs: NDArray[np.uint64]) -> Iterator[tuple[int, tuple[str, str]]]:
    """Id and source of documents of a part; row groups without one of them are not read."""
    with pq.ParquetFile(run.store.columns_of(run.parts[number].documents["path"])) as file:
        for group in range(file.num_row_groups):
            there = file.read_row_group(group, columns=["doc"], use_threads=False).column("doc").to_numpy()
            mine = np.isin(there, docs)
            if mine.any():
                table = file.read_row_group(group, columns=["doc", "id", "source"], use_threads=False)
                for row in table.filter(pa.array(mine)).to_pylist():
                    yield row["doc"], (row["id"], row["source"])
