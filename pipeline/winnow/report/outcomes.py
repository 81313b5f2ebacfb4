"""What became of the records, as tables: of all, of each source, of each language."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table

from winnow import schemas
from winnow.flow.records import RunRecords
from winnow.report.manifest import outcomes_of
from winnow.report.tables import SHOWN, add_names, table_of

LANGUAGES_SHOWN = 10


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
    command = f"winnow summary {run.config.run} --all"
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
            yield f"the last row sums {len(rest):,} sources; all of them: {command}"
    yield from _languages(run, command, whole=whole)


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


def _languages(run: RunRecords, command: str, *, whole: bool) -> Iterator[RenderableType]:
    """Documents by language, and what the rules dropped of them; nothing where none or one was found."""
    of, dropped = run.totals("filter", "of_language"), run.totals("filter", "dropped_language")
    if len(of) < 2:
        return
    names = sorted(of, key=lambda name: (-of[name], name))
    shown = len(names) if whole or len(names) <= LANGUAGES_SHOWN else LANGUAGES_SHOWN - 1
    verb = "fail rules" if run.config.filter.mode == "annotate" else "dropped by rules"
    table = table_of(["language"], ["documents", verb, "of them"], "languages")
    for name in names[:shown]:
        lost = dropped.get(name, 0)
        add_names(table, name, f"{of[name]:,}", f"{lost:,}", f"{lost / of[name]:.1%}")
    if rest := names[shown:]:
        all_of, lost = sum(of[name] for name in rest), sum(dropped.get(name, 0) for name in rest)
        add_names(table, f"{len(rest):,} more", f"{all_of:,}", f"{lost:,}", f"{lost / all_of:.1%}")
    yield table
    if rest:
        yield f"the last row sums {len(rest):,} languages; all of them: {command}"
