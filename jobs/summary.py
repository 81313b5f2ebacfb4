"""``winnow summary``: what a finished run printed, again."""

from typing import Annotated

import typer

from .exit_codes import true_exit_codes
from .why import RunFolder


def summary(
    run: RunFolder,
    whole: Annotated[bool, typer.Option("--all", help="Every source and language, however many there are.")] = False,
) -> None:
    """Print the summary of the latest finished run of a folder again, as that run printed it."""
    with true_exit_codes():
        from rich.console import Console

        from winnow.report.summary import print_summary
        from winnow.runs.folder import latest_run
        from winnow.runs.state import load_run

        print_summary(load_run(latest_run(run)), Console(), whole=whole)


if __name__ == "__main__":
    typer.run(summary)
