"""Which rule failed how many documents of which source, as tables of 80 columns for any number of sources."""

from collections import Counter
from collections.abc import Iterator

from rich.console import RenderableType

from winnow.flow.records import RunRecords
from winnow.report.cross_tables import Crossed

RULES_SHOWN = 10
ALL = "in all"
"""The first column; no source is called so."""
_DECIDING = ("filter", "screen", "redact")
"""Stages that ask documents rules."""


def failures_by_source(run: RunRecords) -> dict[str, Counter[str]]:
    """By source, documents that fail each rule; those that fail several count for each of them."""
    found: dict[str, Counter[str]] = {source.name: Counter() for source in run.config.sources}
    for stage in _DECIDING:
        for names, number in run.totals(stage, "failed_source").items():
            source, _, rule = names.partition("/")
            found[source][rule] += number
    return found


def rule_tables(run: RunRecords, *, whole: bool) -> Iterator[RenderableType]:
    """The table, and what shows all of it; nothing where there is one source, or no document failed.

    Args:
        run: a finished run.
        whole: every rule and source: as many tables beside one another as 80 columns need.
    """
    by_source = failures_by_source(run)
    failed = sum(by_source.values(), Counter[str]())
    if len(by_source) < 2 or not failed:
        return
    rules = sorted(failed, key=lambda rule: (-failed[rule], rule))
    shown = rules if whole else rules[:RULES_SHOWN]
    of = run.totals("filter", "of_source")
    crossed = Crossed(
        "documents that fail each rule, by source",
        "rule",
        [*shown, "documents"],
        {ALL: [f"{number:,}" for number in (*(failed[rule] for rule in shown), sum(of.values()))]},
        {
            name: [*(by_source[name][rule] for rule in shown), of.get(name, 0)]
            for name in sorted(by_source, key=lambda source: -by_source[source].total())
        },
    )
    yield from crossed.tables(whole=whole)
    if not whole and (len(rules) > len(shown) or not crossed.fits):
        told = f"{len(rules):,} rules failed documents of {len(by_source):,} sources"
        yield f"{told}; all of them: winnow summary {run.config.run} --all"
