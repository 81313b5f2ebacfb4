"""Values of every rule on every document of a part, also of thresholds that a run did not have: from signals, and from
what the run found of where documents come from.

Legend: N documents of a part.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow.errors import ConfigError
from winnow.flow.operators import rules_on
from winnow.flow.provenance import rules_on_provenance
from winnow.flow.records import RunRecords
from winnow.stages.quantiles import Cuts, read_cuts
from winnow.stages.tables import column_to_numpy, read_parquet
from winnow.text.config import FilterConfig
from winnow.text.rules.config import RULE_NAMES
from winnow.text.rules.rules import rule_values
from winnow.text.rules.signal_rules import (
    Bound,
    SignalRule,
    applies_to,
    bounds_of,
    column_of,
    quantile_bounds,
    rank_of,
    thresholds_of,
)


class NamedRuleValues(NamedTuple):
    """What one rule finds in the documents of a part."""

    name: str
    is_min: bool
    """Whether documents fail below the threshold, rather than above."""
    threshold: NDArray[np.float64]
    """[N]; quantiles of each source or language differ. NaN: the rule has none here."""
    value: NDArray[np.float64]
    """[N], NaN where there is none."""
    applies: NDArray[np.bool_]
    """[N] documents that the rule is about."""
    drops_missing: bool = False
    is_match: bool = False
    """Of the rules on where a document comes from: value 1 where it was found, no threshold that could be moved."""

    @property
    def fails(self) -> NDArray[np.bool_]:
        """[N] documents that fail."""
        fails = self.value < self.threshold if self.is_min else self.value > self.threshold
        if self.drops_missing:
            fails |= np.isnan(self.value)
        return np.asarray(fails & self.applies, bool)


def read_signals(run: RunRecords, number: int) -> pa.Table:
    """The signals of a part, N rows in document order."""
    return read_parquet(run.store, run.parts[number].signals).combine_chunks()


def rules_of_part(
    run: RunRecords, config: FilterConfig, cuts: Cuts, signals: pa.Table, number: int
) -> Iterator[NamedRuleValues]:
    """Every rule that is on and is decided before dedup, in the order in which failures are listed.

    Args:
        run: a finished run.
        config: the rules; those of the run, or others on the same signals that ``check_provenance_known`` lets through.
        cuts: of their quantiles, from :func:`cuts_of`.
        signals: of one part.
        number: of the part.
    """
    prose = [source.name for source in run.config.sources if source.is_prose]
    languages, sources = (signals.column(name).combine_chunks() for name in ("language", "source"))
    rows = signals.num_rows
    for found in rule_values(signals, languages, config, sources, prose):
        threshold = np.full(rows, found.threshold)
        yield NamedRuleValues(RULE_NAMES[found.number], found.is_min, threshold, found.value, found.applies)
        if RULE_NAMES[found.number] == "empty":
            yield from _provenance(run, config, column_to_numpy(signals, "doc"), number)
    rules = before_dedup(run, config)
    by_quantile = quantile_bounds(rules)
    for bound in bounds_of(rules):
        cut = cuts[by_quantile.index(bound)] if bound.quantile is not None else None
        yield NamedRuleValues(
            bound.name,
            bound.is_min,
            thresholds_of(bound, signals, cut),
            column_of(signals, bound.rule.signal).values,
            applies_to(bound.rule, signals),
            bound.rule.missing == "drop" and bound == bound.rule.bounds[0],
        )
    for name in _verdicts(run, signals.schema, gpu=False):
        verdict = pc.fill_null(signals.column(name), True).to_numpy().astype(np.float64)
        yield NamedRuleValues(name, True, np.ones(rows), verdict, np.ones(rows, bool))


def _provenance(
    run: RunRecords, config: FilterConfig, docs: NDArray[np.uint64], number: int
) -> Iterator[NamedRuleValues]:
    """The rules on where documents come from: what the run found, of which other settings may ask for less."""
    names = rules_on_provenance(config)
    if not names:
        return
    found = read_parquet(run.store, run.of("provenance")[number].outputs["matches"].reference(), ["doc", "rule"])
    for name in names:
        value = np.zeros(len(docs))
        mine = found.filter(pc.equal(found.column("rule"), name)).combine_chunks()
        value[np.searchsorted(docs, column_to_numpy(mine, "doc"))] = 1
        yield NamedRuleValues(name, False, np.zeros(len(docs)), value, np.ones(len(docs), bool), is_match=True)


def check_provenance_known(run: RunRecords, config: FilterConfig) -> None:
    """Other rules on where documents come from than the run's can only be left out.

    Raises:
        ConfigError: the run did not look for what these ask for.
    """
    now = run.config.filter
    unknown = set(config.opt_outs or ()) - set(now.opt_outs or ())
    for setting, known in (
        ("urls", config.urls in (None, now.urls)),
        ("opt_outs", not unknown),
        ("licences", config.licences in (None, now.licences)),
    ):
        if not known:
            raise ConfigError(
                f"filter.{setting}: the run did not look for this, and signals do not tell; `{setting}: off` can be "
                f"tried here, and another `{setting}` by `winnow run`, which measures nothing again for it"
            )


def verdicts_of(run: RunRecords, *, gpu: bool) -> tuple[str, ...]:
    """Columns of verdicts of operators on GPUs, or of the others: a finished run has tables, and no operators."""
    made = [record.outputs["signals"].path for record in run.of("screen_signals")]
    tables = made if gpu else [part.signals["path"] for part in run.parts]
    return _verdicts(run, pq.read_schema(run.store.columns_of(tables[0])), gpu=gpu) if tables else ()


def _verdicts(run: RunRecords, types: pa.Schema, *, gpu: bool) -> tuple[str, ...]:
    """The same, where the schema of a table of signals is known."""
    columns = [column for entry in run.config.measure.operators_on(gpu=gpu) for column in entry.columns]
    return tuple(name for name in columns if name in types.names and pa.types.is_boolean(types.field(name).type))


def before_dedup(run: RunRecords, config: FilterConfig) -> tuple[SignalRule, ...]:
    """Rules on signals that are there before dedup; those of operators on GPUs come after it."""
    return rules_on(run.config.model_copy(update={"filter": config}), gpu=False)


def cuts_of(run: RunRecords, config: FilterConfig) -> Cuts:
    """Thresholds of the rules by quantile: those of the run, or, for other rules, counted anew.

    Counting holds 8 bytes a document in memory.
    """
    rules = before_dedup(run, config)
    bounds = quantile_bounds(rules)
    if not bounds:
        return []
    if rules == before_dedup(run, run.config.filter) and (records := run.of("quantile_cuts")):
        return read_cuts(run.store, records[0].outputs["cuts"].reference(), len(bounds))
    return [_cut(run, bound) for bound in bounds]


def _cut(run: RunRecords, bound: Bound) -> dict[str | None, float]:
    """The quantile of each group: the value of its rank among those that the rule is about (nearest rank)."""
    groups: dict[str | None, list[NDArray[np.float64]]] = {}
    for part in run.parts:
        columns = dict.fromkeys(("source", "language", bound.rule.signal))
        signals = read_parquet(run.store, part.signals, list(columns)).combine_chunks()
        value = column_of(signals, bound.rule.signal).values
        takes = applies_to(bound.rule, signals) & ~np.isnan(value)
        if bound.rule.by is None:
            groups.setdefault(None, []).append(value[takes])
            continue
        names = np.array(signals.column(bound.rule.by).cast(pa.string()).to_pylist(), object)[takes]
        for name in dict.fromkeys(names.tolist()):
            groups.setdefault(name, []).append(value[takes][names == name])
    assert bound.quantile is not None
    cuts: dict[str | None, float] = {}
    for name, pieces in groups.items():
        values = np.concatenate(pieces)
        if len(values):
            rank = rank_of(bound.quantile, len(values)) - 1
            cuts[name] = float(np.partition(values, rank)[rank])
    return cuts
