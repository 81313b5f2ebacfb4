"""``winnow lines``: the boilerplate lines that a run removed, so that a user can judge the limit."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .exit_codes import REFUSED, printable, true_exit_codes
from .why import RunFolder

if TYPE_CHECKING:
    from rich.table import Table
    from winnow.stages.ingest.boilerplate import RemovedLine


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
        from winnow.finished.finished import load_finished
        from winnow.stages.ingest.boilerplate import listed_lines

        finished = load_finished(run)
        if "boilerplate_set" not in finished.records:
            print(f"winnow: {printable(run)}: the run removed no lines; `dedup.lines` is off")
            sys.exit(REFUSED)
        names = [configured.name for configured in finished.config.sources]
        if source is not None and source not in names:
            print(
                f"winnow: {printable(run)} has no source {printable(source)}; there are {printable(', '.join(names))}"
            )
            sys.exit(REFUSED)
        records = finished.records
        listed = listed_lines(finished.store, records["boilerplate_set"], records["measure"], source, first, rarest)
        Console().print(lines_table(listed, 400, "boilerplate lines removed"))


def lines_table(lines: "list[RemovedLine]", characters: int, title: str) -> "Table":
    """Source, documents and text of each line; texts are cut, and their control characters escaped."""
    from rich.table import Table
    from rich.text import Text

    table = Table("source", title=title, title_justify="left")
    table.add_column("documents", justify="right")
    table.add_column("line", overflow="fold")
    for line in lines:
        text = line.text if len(line.text) <= characters else line.text[:characters] + " ..."
        table.add_row(Text(line.source), f"{line.documents:,}", Text(printable(text, lines=False)))
    return table


if __name__ == "__main__":
    typer.run(lines)
