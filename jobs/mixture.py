"""``winnow mixture search``: shares of sources whose models need fewest bits a byte of held-out text."""

from typing import TYPE_CHECKING

import typer

from .ablate import PlanPath, print_tables, show
from .run import Overrides

if TYPE_CHECKING:
    from winnow.ablate.search import Search

mixture = typer.Typer(help="Find out in which shares sources are best mixed.", no_args_is_help=True)


@mixture.callback()
def _of_mixtures() -> None:
    """Find out in which shares sources are best mixed."""


@mixture.command()
def search(plan: PlanPath, overrides: Overrides = None) -> None:
    """Train a tiny model on each of many random mixtures, fit a regression, and check the mixture it predicts.

    The total cost is told first. Trials that are done are never computed again. The mixture that is predicted to be
    best is compared with natural shares as `winnow ablate` compares; `search.json` in the plan's folder has it for
    `shards.mixture`.
    """
    from winnow.engine.stopping import Stop

    from .exit_codes import OK, leave, log_to_stderr, true_exit_codes

    stop = Stop()
    log_to_stderr()
    with true_exit_codes(), stop.handle_signals():
        from winnow.ablate.plan import load_plan
        from winnow.ablate.search import search_mixture
        from winnow.ablate.search_plan import SearchPlan

        _show(search_mixture(load_plan(plan, SearchPlan, overrides), stop))
    leave(OK)


def _show(found: "Search") -> None:
    from winnow.ablate.search_report import JSON, as_json, search_notes, search_tables
    from winnow.report.printable import printable
    from winnow.storage.open_store import open_store

    print_tables(search_tables(found))
    for line in search_notes(found):
        print(printable(line, lines=False))
    open_store(found.check.plan.ablation, found.check.plan.storage).replace(JSON, as_json(found))
    show(found.check, search_tables(found), search_notes(found))
