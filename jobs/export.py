"""``winnow export``: tables of a finished run in plain formats, for others' use."""

from typing import Annotated, Literal

import typer

from .paths import settled
from .why import RunFolder

export = typer.Typer(help="Write tables of a finished run in plain formats.", no_args_is_help=True)
Folder = Annotated[
    str, typer.Argument(metavar="OUT", callback=settled, help="Folder to write to; made where it is missing.")
]


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


@export.command()
def documents(
    run: RunFolder,
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="parquet (default) or jsonl.zst. May be repeated.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--column", help="One column, in this order: id, text, a kept field, a signal. May be repeated."),
    ] = None,
    order: Annotated[
        Literal["global", "input"] | None,
        typer.Option(help="`global` (default) is the order of the shards, `input` that of the inputs."),
    ] = None,
    shard_mb: Annotated[int | None, typer.Option(min=1, help="Text in a file, in MB.")] = None,
    executor: Annotated[
        Literal["auto", "ray", "processes", "inline"] | None,
        typer.Option(help="Where the work is done; as the run had it unless given."),
    ] = None,
) -> None:
    """Kept documents as clean text, below the run folder: exactly those of the shards, with a manifest.

    The section `documents` of a config does the same in the run itself.
    """
    from winnow.engine.stopping import Stop
    from winnow.report.printable import printable

    from .exit_codes import OK, leave, log_to_stderr, true_exit_codes

    log_to_stderr()
    stop = Stop()
    with true_exit_codes(), stop.handle_signals():
        from winnow.runs.documents import export_documents

        asked = {"formats": formats, "columns": columns, "order": order, "shard_mb": shard_mb}
        given = {name: value for name, value in asked.items() if value is not None}
        for line in export_documents(run, given, executor, stop):
            print(printable(line, lines=False))
    leave(OK)


if __name__ == "__main__":
    export()
