"""The ``winnow`` command; the same as ``python -m jobs``. Heavy imports wait until a command really runs."""

from typing import Annotated

import typer

from .ablate import ablate
from .audit import audit
from .augment import augment
from .compare import compare
from .datasheet import datasheet
from .decrypt import decrypt
from .demo import demo
from .dropped import dropped, kept
from .export import export
from .forget import forget
from .index import index
from .init import init
from .key import key
from .lines import lines
from .mixture import mixture
from .near import near
from .plan import plan
from .push import push
from .release import release
from .report import report
from .run import run
from .schema import schema
from .select import select
from .shards import shards
from .status import status
from .submit import submit
from .summary import summary
from .train_ngram import train_ngram
from .train_tokenizer import train_tokenizer
from .tune import tune
from .verify import verify
from .warm import warm
from .why import why

app = typer.Typer(
    name="winnow",
    help="Raw text to clean, deduplicated, tokenised, globally shuffled training shards, on Ray.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
RUNNING = (
    *(demo, run, submit, status, plan, augment, ablate, push, forget, release, decrypt, key),
    *(init, schema, warm),
)
ASKING = (summary, report, datasheet, compare, why, dropped, kept, tune, lines, select, near, verify)
for command in (*RUNNING, *ASKING):
    app.command()(command)
app.command("train-tokenizer")(train_tokenizer)
app.command("train-ngram")(train_ngram)
app.add_typer(audit, name="audit")
app.add_typer(index, name="index")
app.add_typer(export, name="export")
app.add_typer(mixture, name="mixture")
app.add_typer(shards, name="shards")


def _print_version(asked: bool) -> None:
    if asked:
        from winnow.version import winnow_version

        print(f"winnow {winnow_version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """What holds for all commands."""


def main() -> None:
    """Entry point of the installed command."""
    import sys

    from winnow.engine.executors.lost_ray import restart_with

    restart_with(sys.orig_argv)
    app()


if __name__ == "__main__":
    main()
