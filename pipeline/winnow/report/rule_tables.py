"""Which rule failed how many documents of which source, as tables of 80 columns for any number of sources."""

from collections import Counter
from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.table import Table

from winnow.flow.records import RunRecords
from winnow.report.tables import add_names, table_of

RULES_SHOWN = 10
WIDTH = 80
_LEAST_RULE, _MOST_SOURCE = 26, 8
"""Characters that the names of rules have at least where they need them; those of sources break after so many."""
ALL = "in all"
"""The first column; no source is called so."""
_BORDERS = 4
"""Characters around the first column; each further one takes three."""
_DECIDING = ("filter", "screen", "redact")
"""Stages that ask documents rules."""

Columns = dict[str, list[int]]
"""By source, its documents, and those that fail each rule."""


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
    sources = sorted(by_source, key=lambda source: -by_source[source].total())
    of = run.totals("filter", "of_source")
    columns = {name: [of.get(name, 0), *(by_source[name][rule] for rule in shown)] for name in sources}
    left = WIDTH - _BORDERS - min(_LEAST_RULE, max(map(len, ("documents", *shown))))
    title = "documents that fail each rule, by source"
    summed = {ALL: [sum(of.values()), *(failed[rule] for rule in shown)]}
    fit = _that_fit({**summed, **columns}, left)
    if fit > len(sources):
        yield _table(title, shown, {**summed, **columns})
    elif whole:
        columns = {**summed, **columns}
        while columns:
            block = _first(columns, _that_fit(columns, left))
            yield _table(title, shown, block)
            columns = {name: numbers for name, numbers in columns.items() if name not in block}
    else:
        rest = f"{len(sources):,} more"  # as wide as it can get
        most = _sum(columns.values())
        fit = max(1, _that_fit({ALL: summed[ALL], rest: most, **columns}, left) - 2)
        others = [columns[name] for name in sources[fit:]]
        yield _table(title, shown, {**summed, **_first(columns, fit), f"{len(others):,} more": _sum(others)})
    if len(rules) > len(shown) or (fit <= len(sources) and not whole):
        told = f"{len(rules):,} rules failed documents of {len(sources):,} sources"
        yield f"{told}; all of them: winnow summary {run.config.run} --all"


def _sum(columns: Iterable[list[int]]) -> list[int]:
    return [sum(numbers) for numbers in zip(*columns, strict=True)]


def _first(columns: Columns, count: int) -> Columns:
    return dict(list(columns.items())[:count])


def _width(name: str, numbers: list[int]) -> int:
    return max(min(len(name), _MOST_SOURCE), *(len(f"{number:,}") for number in numbers))


def _that_fit(columns: Columns, left: int) -> int:
    """How many of the first columns fit into ``left`` characters; one at least."""
    count = 0
    for name, numbers in columns.items():
        left -= _width(name, numbers) + 3
        if left < 0:
            break
        count += 1
    return max(1, count)


def _table(title: str, rules: list[str], columns: Columns) -> Table:
    table = table_of(["rule"], [], title)
    taken = sum(_width(name, numbers) + 3 for name, numbers in columns.items())
    table.columns[0].max_width = WIDTH - _BORDERS - taken
    for name, numbers in columns.items():
        table.add_column(name, justify="right", overflow="fold", width=_width(name, numbers))
    documents, *failed = list(zip(*columns.values(), strict=True))
    for rule, row in zip(rules, failed, strict=True):
        add_names(table, rule, *(f"{number:,}" for number in row))
    table.add_section()
    add_names(table, "documents", *(f"{number:,}" for number in documents))
    return table
