"""``winnow report``: the page of a finished run, made again."""

from typing import Annotated

import typer

from .exit_codes import true_exit_codes
from .paths import settled
from .why import RunFolder


def report(
    run: RunFolder,
    out: Annotated[
        str | None,
        typer.Option(callback=settled, help="File to write; reports/report.html of the run folder unless given."),
    ] = None,
) -> None:
    """Write the page of a finished run: outcomes, rules with examples, duplicates, languages, rows, time."""
    with true_exit_codes():
        from pathlib import Path

        from winnow.report.page.page import REPORT
        from winnow.report.printable import printable
        from winnow.report.reports import FOLDER
        from winnow.runs.folder import latest_run
        from winnow.runs.state import load_run

        finished = load_run(latest_run(run))
        page = REPORT.make(finished)
        if out is None:
            finished.store.replace(path := f"{FOLDER}/{REPORT.file}", page)
            written = finished.store.location(path)
        else:
            Path(out).write_bytes(page)
            written = out
        print(printable(f"{written} ({len(page) / 1e6:.1f} MB)", lines=False))


if __name__ == "__main__":
    typer.run(report)
