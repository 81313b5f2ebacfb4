"""``winnow ablate``: which data trains better, by small models with several seeds each."""

from typing import TYPE_CHECKING, Annotated

import typer

from .paths import settled
from .run import Overrides

if TYPE_CHECKING:
    from collections.abc import Sequence

    from winnow.ablate.ablate import Ablation
    from winnow.audit.tables import TableOf

PlanPath = Annotated[str, typer.Argument(metavar="PLAN", callback=settled, help="YAML file; docs/ablate.md has some.")]


def ablate(
    plan: PlanPath,
    overrides: Overrides = None,
) -> None:
    """Train small models on arms of the data, with several seeds each, and compare them on held-out text.

    Arms are settings of a run, finished runs or shard sets. Cost and time are told before models are trained. Trials
    that are done are never computed again: after a kill, the same command goes on. Writes ablation.json and
    ablation.html into the plan's folder.
    """
    from winnow.engine.stopping import Stop

    from .exit_codes import OK, leave, log_to_stderr, true_exit_codes

    stop = Stop()
    log_to_stderr()
    with true_exit_codes(), stop.handle_signals():
        from winnow.ablate.ablate import ablate as run_ablation
        from winnow.ablate.plan import Plan, load_plan

        show(run_ablation(load_plan(plan, Plan, overrides), stop))
    leave(OK)


def print_tables(tables: "list[TableOf]") -> None:
    """On the terminal, each with its note."""
    from rich.table import Table

    from winnow.report.tables import add_names, console_for_tables

    console = console_for_tables()
    for made in tables:
        table = Table(title=made.title, title_justify="left")
        for at, name in enumerate(made.columns):
            right = at in made.numbers
            table.add_column(name, justify="right" if right else "left", no_wrap=right, overflow="fold")
        for row in made.rows:
            add_names(table, *row)
        console.print(table)
        if made.note:
            print(made.note)


def show(found: "Ablation", more: "Sequence[TableOf]" = (), said: "Sequence[str]" = ()) -> None:
    """Print the tables, and write the report, which begins with what was printed before: ``more`` and ``said``."""
    from winnow.ablate.page import ablation_page
    from winnow.ablate.report import JSON, PAGE, as_json, headline, notes, tables
    from winnow.report.printable import printable
    from winnow.storage.open_store import open_store

    print_tables(tables(found))
    for line in (*notes(found), headline(found)):
        print(printable(line, lines=False))
    store = open_store(found.plan.ablation, found.plan.storage)
    store.replace(JSON, as_json(found))
    store.replace(PAGE, ablation_page(found, more, said).encode())
    print(printable(f"report: {store.location(PAGE)}; all figures: {store.location(JSON)}", lines=False))


if __name__ == "__main__":
    typer.run(ablate)
