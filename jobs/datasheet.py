"""``winnow datasheet``: what a finished run tells those who use, judge and publish its data, written again."""

import typer

from .exit_codes import true_exit_codes
from .why import RunFolder


def datasheet(run: RunFolder) -> None:
    """Write data sheet, Croissant and the EU's summary of training content of a run into its folder `reports`.

    What no run can know is marked OPEN, for people to answer.
    """
    with true_exit_codes():
        from winnow.report.printable import printable
        from winnow.report.reports import REPORTS, write_report
        from winnow.runs.folder import latest_run
        from winnow.runs.state import load_run

        finished = load_run(latest_run(run))
        for name in ("datasheet", "croissant", "eu_summary"):
            print(printable(write_report(finished, REPORTS.get(name)), lines=False))


if __name__ == "__main__":
    typer.run(datasheet)
