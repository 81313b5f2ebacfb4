"""``winnow lines``: the boilerplate lines that a run removed, so that a user can judge the limit."""

import sys
from typing import Annotated

import typer

from winnow.report.printable import printable

from .exit_codes import REFUSED, true_exit_codes
from .why import RunFolder


def lines(
    run: RunFolder,
    first: Annotated[
        int,
        typer.Option(min=1, help="Lines to show, the most frequent of each source in turn; at most 1,000 of a source."),
    ] = 50,
    source: Annotated[str | None, typer.Option(help="Show lines of this source only.")] = None,
    rarest: Annotated[bool, typer.Option(help="Show the other end: lines just over the limit.")] = False,
) -> None:
    """List the boilerplate lines (or paragraphs) removed by `dedup.lines`, with the documents that held each."""
    with true_exit_codes():
        from rich.console import Console

        from winnow.report.lines import lines_table
        from winnow.runs.folder import latest_run
        from winnow.runs.state import load_run
        from winnow.stages.ingest.boilerplate import listed_lines

        finished = load_run(latest_run(run))
        if "boilerplate_set" not in finished.records:
            print(f"winnow: {printable(run)}: the run removed no lines; `dedup.lines` is off")
            sys.exit(REFUSED)
        names = [configured.name for configured in finished.config.sources]
        if source is not None and source not in names:
            print(
                f"winnow: {printable(run)} has no source {printable(source)}; there are {printable(', '.join(names))}"
            )
            sys.exit(REFUSED)
        removed, measured = finished.of("boilerplate_set"), finished.of("measure")
        listed = listed_lines(finished.store, removed, measured, source, first, rarest)
        Console().print(lines_table(listed, 400, "boilerplate lines removed"))


if __name__ == "__main__":
    typer.run(lines)
