"""What became of the records, as tables: of all, and of each source."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table

from winnow import schemas
from winnow.flow.records import RunRecords
from winnow.report.manifest import outcomes_of
from winnow.report.tables import SHOWN, add_names, table_of


def outcomes_by_source(run: RunRecords) -> dict[str, dict[str, int]]:
    """By source, records by outcome, unreadable ones included."""
    unreadable = run.totals("measure", "unreadable")
    return {
        source.name: {
            **run.totals(run.ledger_stage, f"source/{source.name}"),
            schemas.UNREADABLE: unreadable.get(source.name, 0),
        }
        for source in run.config.sources
    }


def outcome_tables(run: RunRecords, *, whole: bool) -> Iterator[RenderableType]:
    """The tables, and under each how many rows were summed and what shows all.

    Args:
        run: a finished run.
        whole: every row, however many there are.
    """
    outcomes = outcomes_of(run)
    yield _outcomes(outcomes)
    by_source = outcomes_by_source(run)
    if len(by_source) > 1:
        rows = [(name, counts, run.total("tokenise", f"source_tokens/{name}")) for name, counts in by_source.items()]
        shown = len(rows) if whole or len(rows) <= SHOWN else SHOWN - 1
        table = table_of(["source"], ["records", "kept", "of them", "tokens"], "sources")
        table.add_column("most lost to", overflow="fold")
        for name, counts, tokens in rows[:shown]:
            _add_source(table, name, counts, tokens)
        if rest := rows[shown:]:
            summed = {name: sum(counts.get(name, 0) for _, counts, _ in rest) for name in schemas.OUTCOMES}
            _add_source(table, f"{len(rest):,} more", summed, sum(tokens for _, _, tokens in rest))
        yield table
        if rest:
            yield f"the last row sums {len(rest):,} sources; all of them: winnow summary {run.config.run} --all"


def _add_source(table: Table, name: str, counts: dict[str, int], tokens: int) -> None:
    records, kept = sum(counts.values()), counts.get(schemas.KEPT, 0)
    lost = {outcome: number for outcome, number in counts.items() if outcome != schemas.KEPT and number}
    most = max(lost, key=lambda outcome: lost[outcome]) if lost else ""
    told = f"{most} {lost[most] / records:.1%}" if most else ""
    add_names(table, name, f"{records:,}", f"{kept:,}", f"{kept / records:.1%}" if records else "", f"{tokens:,}", told)


def _outcomes(outcomes: dict[str, int]) -> Table:
    table = table_of(["outcome"], ["documents", "share"], "outcomes")
    records = sum(outcomes.values())
    for outcome in schemas.OUTCOMES:
        if number := outcomes.get(outcome, 0):
            table.add_row(outcome, f"{number:,}", f"{number / records:.2%}")
    table.add_section()
    table.add_row("records in", f"{records:,}", "")
    return table
