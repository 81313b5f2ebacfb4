"""The ``winnow`` command; the same as ``python -m jobs``. Heavy imports wait until a command really runs."""

import typer

from jobs.audit import audit
from jobs.export import export
from jobs.index import index
from jobs.init import init
from jobs.lines import lines
from jobs.near import near
from jobs.plan import plan
from jobs.run import run
from jobs.schema import schema
from jobs.select import select
from jobs.shards import shards
from jobs.status import status
from jobs.submit import submit
from jobs.train_tokenizer import train_tokenizer
from jobs.verify import verify
from jobs.why import why

app = typer.Typer(
    name="winnow",
    help="Raw text to clean, deduplicated, tokenised, globally shuffled training shards, on Ray.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (run, submit, status, plan, why, lines, select, near, verify, init, schema):
    app.command()(command)
app.command("train-tokenizer")(train_tokenizer)
app.add_typer(audit, name="audit")
app.add_typer(index, name="index")
app.add_typer(export, name="export")
app.add_typer(shards, name="shards")


def main() -> None:
    """Entry point of the installed command."""
    app()


if __name__ == "__main__":
    main()
