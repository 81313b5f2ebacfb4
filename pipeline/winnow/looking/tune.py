"""What other thresholds would keep: computed from the signals of a finished run, before dedup and all that follows it.

One pass over the signals' tables, part by part: memory does not grow with the run.

Legend: N documents of a part, G groups (sources, or languages), T thresholds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow import schemas
from winnow.errors import ConfigError
from winnow.flow.records import RunRecords
from winnow.looking.rule_values import (
    NamedRuleValues,
    before_dedup,
    check_provenance_known,
    cuts_of,
    read_signals,
    rules_of_part,
)
from winnow.stages.tables import column_to_numpy, read_parquet
from winnow.suggest import meant_or_known, suggestion
from winnow.text.config import FilterConfig
from winnow.text.rules.signal_rules import bounds_of

GROUPS = ("source", "language")
STEPS = (0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0)
"""Thresholds of a curve, in those of the run."""


@dataclass
class Amount:
    """Documents, and what they hold."""

    documents: int = 0
    characters: int = 0
    tokens: float = 0.0
    """Estimated, by source, from the tokens a character of the documents that the run tokenised."""

    def add(self, documents: int, characters: int, tokens: float) -> None:
        """Count some more."""
        self.documents += documents
        self.characters += characters
        self.tokens += tokens


@dataclass
class RuleEffect:
    """What one rule does beside the others."""

    name: str
    is_min: bool
    threshold: float | None
    """None where sources or languages have their own, and of rules on where a document comes from."""
    is_match: bool = False
    """Whether it is one of these: it has no threshold at all."""
    asked: int = 0
    """Documents that it is about."""
    fails: Amount = field(default_factory=Amount)
    alone: Amount = field(default_factory=Amount)
    """Documents that fail this rule and no other: what comes back without it."""


@dataclass
class Curve:
    """What passes all rules, by the threshold of one of them."""

    rule: str
    is_min: bool
    current: float
    thresholds: list[float]
    passes: list[Amount]
    groups: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """`source` and `language`: by name, documents at each threshold."""


@dataclass
class Comparison:
    """What passes the run's rules, and what passes others."""

    now: Amount = field(default_factory=Amount)
    then: Amount = field(default_factory=Amount)
    gained: int = 0
    """Documents that pass the others alone."""
    lost: int = 0
    groups: dict[str, dict[str, tuple[int, int, int]]] = field(default_factory=dict)
    """`source` and `language`: by name, documents read, passing now, passing then."""
    fails: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By rule, documents that fail it now and then."""


class _Part(NamedTuple):
    """What a part holds."""

    number: int
    signals: pa.Table
    characters: NDArray[np.int64]
    tokens: NDArray[np.float64]

    def add(self, amount: Amount, which: NDArray[np.bool_]) -> None:
        amount.add(int(which.sum()), int(self.characters[which].sum()), float(self.tokens[which].sum()))


def rule_effects(run: RunRecords) -> list[RuleEffect]:
    """What each rule of the run fails, and fails alone, in the order of the rules."""
    effects: dict[str, RuleEffect] = {}
    cuts, by_group = cuts_of(run, run.config.filter), _by_group(run)
    for part in _parts(run):
        rules = list(rules_of_part(run, run.config.filter, cuts, part.signals, part.number))
        fails = [rule.fails for rule in rules]
        failed = _number_failed(fails, part)
        for rule, failing in zip(rules, fails, strict=True):
            threshold = None if rule.name in by_group or rule.is_match else _threshold(rule)
            effect = effects.setdefault(rule.name, RuleEffect(rule.name, rule.is_min, threshold, rule.is_match))
            effect.asked += int((rule.applies & ~np.isnan(rule.value)).sum())
            part.add(effect.fails, failing)
            part.add(effect.alone, failing & (failed == 1))
    return list(effects.values())


def curve_of(run: RunRecords, name: str, thresholds: Sequence[float] = ()) -> Curve:
    """What would pass with other thresholds of one rule, all other rules as they are.

    Args:
        run: a finished run.
        name: of the rule.
        thresholds: to try; none given: some around the run's.

    Raises:
        ConfigError: the run has no such rule, or no one threshold of it.
    """
    if name in _by_group(run):
        raise ConfigError(f"{name}: its thresholds are quantiles of each group; try others with --set")
    cuts, curve = cuts_of(run, run.config.filter), None
    for part in _parts(run):
        rules = list(rules_of_part(run, run.config.filter, cuts, part.signals, part.number))
        rule = next((rule for rule in rules if rule.name == name), None)
        if rule is None:
            raise ConfigError(f"{name!r}: the run has no such rule; {meant_or_known(name, [r.name for r in rules])}")
        if rule.is_match:
            setting = name.partition(".")[0]
            raise ConfigError(
                f"{name}: there is no threshold to move: the rule is about where a document comes from; "
                f"--set filter.{setting}=off tells what passes without filter.{setting}, `winnow dropped RUN --rule "
                f"{name}` lists what fails"
            )
        if curve is None:
            curve = _begin(rule, thresholds)
        others = _number_failed([other.fails for other in rules if other.name != name], part) == 0
        _add_to_curve(curve, rule, others, part)
    if curve is None:
        raise ConfigError("the run has read no document; there is nothing to tune")
    return curve if thresholds else _without_flat_ends(curve)


def compare_rules(run: RunRecords, config: FilterConfig) -> Comparison:
    """What other rules would let pass.

    Raises:
        ConfigError: one is about a signal that the run did not measure, or about origins that it did not look for.
    """
    _check_signals(run, config)
    check_provenance_known(run, config)
    found, cuts, other_cuts = Comparison(), cuts_of(run, run.config.filter), cuts_of(run, config)
    found.groups = {group: {} for group in GROUPS}
    for part in _parts(run):
        passing = []
        for at, (rules, cut) in enumerate(((run.config.filter, cuts), (config, other_cuts))):
            asked = list(rules_of_part(run, rules, cut, part.signals, part.number))
            fails = [rule.fails for rule in asked]
            passing.append(_number_failed(fails, part) == 0)
            for rule, failing in zip(asked, fails, strict=True):
                counts = list(found.fails.get(rule.name, (0, 0)))
                counts[at] += int(failing.sum())
                found.fails[rule.name] = (counts[0], counts[1])
        now, then = passing
        part.add(found.now, now)
        part.add(found.then, then)
        found.gained += int((then & ~now).sum())
        found.lost += int((now & ~then).sum())
        for group in GROUPS:
            names, code = _groups(part.signals, group)
            columns = [np.bincount(code[which], minlength=len(names)) for which in (np.ones(len(now), bool), now, then)]
            for number, name in enumerate(names):
                before = found.groups[group].get(name, (0, 0, 0))
                more = (int(column[number]) for column in columns)
                found.groups[group][name] = tuple(a + b for a, b in zip(before, more, strict=True))  # type: ignore[assignment]
    return found


def _check_signals(run: RunRecords, config: FilterConfig) -> None:
    later, as_now = (
        [rule for rule in rules.rules if rule not in before_dedup(run, rules)] for rules in (config, run.config.filter)
    )
    if later != as_now:
        changed = next(rule for rule in [*later, *as_now] if rule not in later or rule not in as_now)
        raise ConfigError(
            f"filter.rules: {changed.signal} is found in what dedup keeps, and documents are counted before dedup; try "
            "the rule by `winnow run`, which measures nothing again for it"
        )
    for part in run.parts[:1]:
        with pq.ParquetFile(run.store.columns_of(part.signals["path"])) as file:
            there = file.schema_arrow.names
        for rule in before_dedup(run, config):
            if rule.signal not in there:
                raise ConfigError(
                    f"filter.rules: the run measured no signal {rule.signal!r}; {suggestion(rule.signal, there)}"
                )


def _begin(rule: NamedRuleValues, thresholds: Sequence[float]) -> Curve:
    current = _threshold(rule)
    wanted = set(thresholds) or {_rounded(current * step, current) for step in STEPS}
    chosen = sorted({float(threshold) for threshold in wanted} | {current})
    return Curve(rule.name, rule.is_min, current, chosen, [Amount() for _ in chosen], {group: {} for group in GROUPS})


def _without_flat_ends(curve: Curve) -> Curve:
    """Without thresholds at both ends that let pass what the next one does."""
    documents, now = [amount.documents for amount in curve.passes], curve.thresholds.index(curve.current)
    first, end = 0, len(documents)
    while first < now and documents[first] == documents[first + 1]:
        first += 1
    while end - 1 > now and documents[end - 1] == documents[end - 2]:
        end -= 1
    part = slice(first, end)
    groups = {group: {name: line[part] for name, line in lines.items()} for group, lines in curve.groups.items()}
    return replace(curve, thresholds=curve.thresholds[part], passes=curve.passes[part], groups=groups)


def _rounded(threshold: float, current: float) -> float:
    """A number that one would write: whole where the run's is, else of three digits."""
    return float(round(threshold)) if current == round(current) and current >= 1 else float(f"{threshold:.3g}")


def _add_to_curve(curve: Curve, rule: NamedRuleValues, others: NDArray[np.bool_], part: _Part) -> None:
    groups = {group: _groups(part.signals, group) for group in GROUPS}
    for at, threshold in enumerate(curve.thresholds):
        moved = rule._replace(threshold=np.full(len(others), threshold))
        passes = others & ~moved.fails
        part.add(curve.passes[at], passes)
        for group, (names, code) in groups.items():
            counts = np.bincount(code[passes], minlength=len(names))
            for name, documents in zip(names, counts.tolist(), strict=True):
                line = curve.groups[group].setdefault(name, [0] * len(curve.thresholds))
                line[at] += documents


def _parts(run: RunRecords) -> Iterator[_Part]:
    rates = tokens_a_character(run)
    for number in range(len(run.parts)):
        signals = read_signals(run, number)
        characters = column_to_numpy(signals, "characters").astype(np.int64)
        names, code = _groups(signals, "source")
        rate = np.array([rates[name] for name in names])[code] if len(code) else np.empty(0)
        yield _Part(number, signals, characters, characters * rate)


def tokens_a_character(run: RunRecords) -> dict[str, float]:
    """By source; where nothing of a source was tokenised, that of all."""
    characters: dict[str, int] = dict.fromkeys((source.name for source in run.config.sources), 0)
    for part, decided in zip(run.parts, run.survivors, strict=True):
        outcome = read_parquet(run.store, decided.outputs["decisions"].reference(), ["outcome"]).column("outcome")
        kept = np.asarray(pc.fill_null(pc.equal(outcome, schemas.KEPT), False), bool)
        signals = read_parquet(run.store, part.signals, ["source", "characters"]).combine_chunks()
        names, code = _groups(signals, "source")
        held = np.bincount(code[kept], weights=column_to_numpy(signals, "characters")[kept], minlength=len(names))
        for name, more in zip(names, held.tolist(), strict=True):
            characters[name] += int(more)
    tokens = {name: run.total("tokenise", f"source_tokens/{name}") for name in characters}
    overall = sum(tokens.values()) / max(1, sum(characters.values()))
    return {name: tokens[name] / held if held else overall for name, held in characters.items()}


def _groups(signals: pa.Table, column: str) -> tuple[list[str], NDArray[np.int64]]:
    """Names, and for each row the place of its own; ``unknown`` for none."""
    codes = signals.column(column).combine_chunks()
    if isinstance(codes, pa.ChunkedArray):  # of no rows
        return [], np.empty(0, np.int64)
    names = codes.dictionary.to_pylist() + ["unknown"] * bool(codes.indices.null_count)
    where = codes.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
    return names, where


def _number_failed(fails: list[NDArray[np.bool_]], part: _Part) -> NDArray[np.int64]:
    return np.sum(fails, axis=0, dtype=np.int64) if fails else np.zeros(part.signals.num_rows, np.int64)


def _threshold(rule: NamedRuleValues) -> float:
    """Of a rule that has the same for all documents; 0 where there is no document."""
    return float(rule.threshold[0]) if len(rule.threshold) else 0.0


def _by_group(run: RunRecords) -> set[str]:
    """Rules whose thresholds are quantiles of each source or language."""
    bounds = bounds_of(before_dedup(run, run.config.filter))
    return {bound.name for bound in bounds if bound.quantile is not None and bound.rule.by is not None}
