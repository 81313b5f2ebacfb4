"""``winnow export``: tables of a finished run in plain formats, for others' use."""

from typing import Annotated

import typer

from .paths import settled
from .why import RunFolder

export = typer.Typer(help="Write tables of a finished run in plain formats.", no_args_is_help=True)
Folder = Annotated[
    str, typer.Argument(metavar="OUT", callback=settled, help="Folder to write to; made where it is missing.")
]


@export.callback()
def _export() -> None:
    """Keep `embeddings` a command of its own, also while it is the only one."""


@export.command()
def embeddings(run: RunFolder, out: Folder) -> None:
    """Embeddings, clusters, scores and outcomes as Parquet, centres as a numpy file."""
    from winnow.report.printable import printable

    from .exit_codes import true_exit_codes

    with true_exit_codes():
        from winnow.finished.export import export_embeddings
        from winnow.runs.state import load_run

        rows = export_embeddings(load_run(run), out)
        print(printable(f"{rows:,} embeddings and their centres: {out}"))


if __name__ == "__main__":
    export()
