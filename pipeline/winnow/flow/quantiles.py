"""Where the thresholds are that ``filter.rules`` asks for by quantile: four stages, of filter's rules or screen's."""

from collections.abc import Sequence
from dataclasses import dataclass

from winnow.engine.engine import Engine
from winnow.engine.records import Json, Record
from winnow.stages import quantiles
from winnow.text.rules.signal_rules import SignalRule, quantile_bounds


@dataclass(frozen=True)
class SignalTable:
    """A table of signals that a unit wrote."""

    number: int
    signals: Json
    rows: int

    @classmethod
    def of(cls, record: Record) -> "SignalTable":
        """The output `signals` of a record."""
        output = record.outputs["signals"]
        return cls(record.number, output.reference(), output.rows)


def cut_quantiles(
    engine: Engine, rules: tuple[SignalRule, ...], tables: Sequence[quantiles.SignalTable], prefix: str = ""
) -> Json | None:
    """Find them; None where no rule asks for one, or there is no table.

    Args:
        engine: does the work.
        rules: about the tables' signals.
        tables: of all documents that a quantile is of.
        prefix: of the stages' names.
    """
    tables = [table for table in tables if table.rows]  # empty ones say nothing, and are equal
    if not quantile_bounds(rules) or not tables:
        return None
    counting = quantiles.counts_stage(rules, prefix)
    counted = engine.run(counting, quantiles.plan_counts(tables))
    counts = engine.listing(counting, counted, "counts")
    (bins,) = engine.run(quantiles.bins_stage(rules, prefix), quantiles.plan_bins(counts, counted))
    looking = quantiles.values_stage(rules, prefix)
    looked = engine.run(looking, quantiles.plan_values(tables, bins))
    lower = engine.listing(looking, looked, "counts")
    (cut,) = engine.run(quantiles.cuts_stage(prefix), quantiles.plan_cuts(lower, looked, bins))
    return cut.outputs["cuts"].reference()


def quantile_stages(rules: tuple[SignalRule, ...], prefix: str = "") -> list[str]:
    """Names of the stages that rules need."""
    names = ("quantile_counts", "quantile_bins", "quantile_values", "quantile_cuts")
    return [f"{prefix}{name}" for name in names] if quantile_bounds(rules) else []
