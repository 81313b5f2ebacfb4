"""``winnow summary``: what a finished run printed, again."""

import typer

from .exit_codes import true_exit_codes
from .why import RunFolder


def summary(run: RunFolder) -> None:
    """Print the summary of the latest finished run of a folder again, as that run printed it."""
    with true_exit_codes():
        from rich.console import Console

        from winnow.report.summary import print_summary
        from winnow.runs.state import load_run

        print_summary(load_run(run), Console())


if __name__ == "__main__":
    typer.run(summary)
