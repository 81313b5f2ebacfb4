"""``winnow train-tokenizer``: a vocabulary of one's own from the cleaned text."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .counts import count
from .paths import settled
from .run import ConfigPath, Overrides

if TYPE_CHECKING:
    from winnow.runs.train_tokeniser import Compression


def train_tokenizer(
    config: ConfigPath,
    out: Annotated[str, typer.Option(callback=settled, help="Folder for the four files.")] = "tokenizer",
    size: Annotated[
        int,
        typer.Option(
            parser=count(257), metavar="COUNT", help="Token ids, end of text included; 65536 still fit 16 bits."
        ),
    ] = 32768,
    sample_mb: Annotated[
        int,
        typer.Option(
            parser=count(in_mb=True), metavar="MB", help="Cleaned text to train on, in MB; drawn by document."
        ),
    ] = 200,
    pattern: Annotated[
        Literal["gpt2", "cl100k", "o200k"], typer.Option(help="How text is split before pairs are merged.")
    ] = "o200k",
    seed: Annotated[int, typer.Option(min=0, help="Which documents are drawn.")] = 7,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            callback=settled,
            help="Encoding, .tiktoken file or tokenizer.json to compare with; gpt2 and o200k_base if there.",
        ),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Train a byte-level BPE vocabulary on a seeded sample of the text that CONFIG keeps.

    Cleans as `winnow run` would (a later run goes on from there) and writes vocabulary.tiktoken, tokenizer.json (the
    same ids), tokenise.yaml (the section for a config) and report.json. The same input gives the same bytes.
    """
    from winnow.report.printable import printable

    from .exit_codes import OK, leave, log_to_stderr, true_exit_codes

    log_to_stderr()
    with true_exit_codes():
        from rich.console import Console

        from winnow.config.load import load_config
        from winnow.runs.train_tokeniser import COMPARED, CONFIG, JSON, RANKS, train_vocabulary

        others = tuple(compare) if compare else COMPARED
        trained = train_vocabulary(load_config(config, overrides), size, sample_mb, pattern, seed, out, others)
        console = Console()
        print(
            f"{trained.size:,} ids from {trained.sample_documents:,} documents, {trained.sample_bytes / 1e6:,.1f} MB"
            + ("" if trained.size == trained.asked else f" (the text has no more pairs for {trained.asked:,})")
        )
        console.print(_table(trained.compression))
        print(printable(f"{out}/{RANKS}, {out}/{JSON}; to use them, put {out}/{CONFIG} into a config", lines=False))
    leave(OK)


def _table(rows: "list[Compression]") -> object:
    """Bytes a token, as drawn on a terminal."""
    from rich.table import Table
    from rich.text import Text

    from winnow.report.printable import printable

    encodings = list(rows[0].bytes_a_token) if rows else []
    table = Table("held-out text", title="bytes a token", title_justify="left")
    for name in ("documents", "MB", *encodings):
        table.add_column(name, justify="right")
    for row in rows:
        name = f"source {row.source}" if row.source else f"language {row.language}" if row.language else "all"
        figures = [f"{row.bytes_a_token[encoding]:.2f}" for encoding in encodings]
        name = printable(name, lines=False)
        table.add_row(Text(name), f"{row.documents:,}", f"{row.text_bytes / 1e6:,.1f}", *figures)
    return table


if __name__ == "__main__":
    typer.run(train_tokenizer)
