"""``winnow shards``: look at a finished shard set, count it, write it in another format."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from winnow.report.printable import printable

from .exit_codes import true_exit_codes
from .paths import settled
from .why import RunFolder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.table import Table

    from winnow.shards.packed_rows import PackedRows
    from winnow.tokens.vocabulary import Vocabulary

shards = typer.Typer(help="The finished shards: rows as text, figures, another format.", no_args_is_help=True)


@shards.command()
def head(
    run: RunFolder,
    split: Annotated[str, typer.Option(help="Rows of this split.")] = "train",
    rows: Annotated[int, typer.Option(min=1, help="Rows to show, from the first of the split.")] = 3,
    characters: Annotated[int, typer.Option(min=1, help="Characters to show of each end of a document piece.")] = 200,
) -> None:
    """Show the first rows as text: each document piece with its length, and whether it begins and ends in the row."""
    with true_exit_codes():
        from winnow.finished.shards import best_source, read_stored, row_shape, stored_shards
        from winnow.report.labels import numbered_label
        from winnow.runs.run import load_run_vocabulary
        from winnow.runs.state import load_run
        from winnow.shards.formats.formats import has_document_boundaries

        finished = load_run(run)
        vocabulary = load_run_vocabulary(finished.config)
        kind = best_source(finished.manifest)
        names = finished.manifest.get("labels", {"names": []})["names"]
        borders = has_document_boundaries(kind, row_shape(finished.manifest))
        shown, first = 0, 0
        for shard in stored_shards(finished, kind, split):
            packed = read_stored(finished, kind, shard, rows - shown, whole_rows=True)
            for row in range(len(packed.rows)):
                label = ""
                if packed.labels is not None:
                    label = f", label {numbered_label(int(packed.labels[row]), names)}"
                where = f"{printable(shard.path, lines=False)}, row {row:,}"
                print(f"row {first + row:,} of {printable(split)}: {where}{label}")
                if borders:
                    print_row(packed, row, vocabulary, characters)
                else:
                    print(f"  ┌ the whole row, padding included ({kind} files do not store where documents begin)")
                    print(f"  │ {shown_text(packed.rows[row], vocabulary, characters)}")
            shown += len(packed.rows)
            first += shard.entry["rows"]
            if shown >= rows:
                break
        if not shown:
            print(f"split {printable(split)} has no rows")


def print_row(packed: "PackedRows", row: int, vocabulary: "Vocabulary", characters: int) -> None:
    """Print a row piece by piece; text of the corpus is shown with its control characters escaped."""
    ids = packed.rows[row]
    lengths = packed.pieces[packed.offsets[row] : packed.offsets[row + 1]].tolist()
    at = 0
    for number, length in enumerate(lengths, 1):
        piece = ids[at : at + length]
        ended = int(piece[-1]) == vocabulary.end_of_text
        what = "to its end" if ended else "cut at the row's end" if at + length == len(ids) else "not ended"
        docs = "" if packed.docs is None else f", document {packed.docs[packed.offsets[row] + number - 1]}"
        print(f"  ┌ piece {number} of {len(lengths)}: {length:,} tokens, {what}{docs}")
        print(f"  │ {shown_text(piece[:-1] if ended else piece, vocabulary, characters)}")
        at += length
    if at < len(ids):
        print(f"  ┌ padding: {len(ids) - at:,} tokens")


def shown_text(ids: "NDArray[np.generic]", vocabulary: "Vocabulary", characters: int) -> str:
    """Both ends of a text on one line."""
    text = vocabulary.decode(ids).decode("utf-8", "replace")
    if len(text) > 2 * characters:
        text = f"{text[:characters]} [...] {text[-characters:]}"
    return printable(text, lines=False)


@shards.command()
def stats(
    run: RunFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as JSON, every file included.")] = False,
) -> None:
    """Rows, tokens, fill, lengths of document pieces, tokens of each source, bytes of each format."""
    with true_exit_codes():
        from winnow.finished.shard_stats import shard_stats
        from winnow.runs.state import load_run

        found = shard_stats(load_run(run))
        if as_json:
            import orjson

            print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        else:
            print_stats(found)


def print_stats(found: dict[str, Any]) -> None:
    """The figures as tables."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from winnow.report.labels import labels_table

    console = Console()
    row = f"{found['row']} rows of {found['row_tokens']:,} {found['dtype']} ids"
    console.print(Text(f"{printable(found['shards'])}: {row}"), soft_wrap=True)
    table = Table("split", title="splits", title_justify="left")
    for column in ("shards", "documents", "rows", "tokens", "fill", "pieces", "pieces a row"):
        table.add_column(column, justify="right")
    for name, split in found["splits"].items():
        fill = "" if split["fill"] is None else f"{split['fill']:.4%}"
        figures = [f"{split[key]:,}" for key in ("shards", "documents", "rows", "tokens")]
        if split["pieces"] is None:
            pieces = ("?", "?")
        else:
            pieces = (f"{split['pieces']:,}", f"{split['pieces_a_row'] or 0:,.2f}")
        table.add_row(Text(name), *figures, fill, *pieces)
    console.print(table)
    if any(split["pieces"] is None for split in found["splits"].values()):
        written = " and ".join(found["formats"])
        console.print(f"{written} files do not store where documents begin: nothing is known of pieces", soft_wrap=True)
    if any(split["pieces"] for split in found["splits"].values()):
        console.print(_piece_lengths(found["splits"]))
    if found["labels"]:
        by_split = {name: split["labels"] for name, split in found["splits"].items()}
        console.print(labels_table(found["labels"], by_split))
    table = Table("source", title="sources (all splits, end-of-text included)", title_justify="left")
    for column in ("documents", "copies", "tokens", "share", "weight"):
        table.add_column(column, justify="right")
    whole = sum(source["tokens"] for source in found["sources"].values())
    for name, source in found["sources"].items():
        share = f"{source['tokens'] / whole:.2%}" if whole else ""
        figures = [f"{source[key]:,}" for key in ("documents", "copies", "tokens")]
        table.add_row(Text(printable(name)), *figures, share, f"{source['weight']:g}")
    console.print(table)
    table = Table("format", title="files", title_justify="left")
    for column in ("files", "MB", "bytes a token", "largest MB"):
        table.add_column(column, justify="right")
    for kind, figures_of in found["formats"].items():
        sizes = [file["bytes"] for file in found["files"] if file["format"] == kind]
        a_token = "" if figures_of["bytes_a_token"] is None else f"{figures_of['bytes_a_token']:.3f}"
        largest = f"{max(sizes, default=0) / 1e6:,.1f}"
        table.add_row(kind, f"{len(sizes):,}", f"{sum(sizes) / 1e6:,.1f}", a_token, largest)
    console.print(table)


def _piece_lengths(splits: dict[str, Any]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table("split", title="tokens of a document piece: shares of pieces at or below", title_justify="left")
    columns = next(list(split["piece_tokens"]) for split in splits.values() if split["pieces"])
    for column in columns:
        table.add_column(column, justify="right")
    for name, split in splits.items():
        table.add_row(Text(name), *(f"{split['piece_tokens'][key]:,}" for key in columns if split["pieces"]))
    return table


@shards.command()
def convert(
    run: RunFolder,
    to: Annotated[str, typer.Option("--format", help="parquet, raw, mds, litdata or another that is installed.")],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", callback=settled, help="Folder of the new set; default: beside the run's own set."
        ),
    ] = None,
) -> None:
    """Write the finished shards in another format, as the run itself would have; nothing is computed again.

    The new set has a manifest of its own, with the hash of every file. Each shard is compared with its hash before it
    is read.
    """
    with true_exit_codes():
        from winnow.errors import ConfigError
        from winnow.finished.convert import convert as convert_shards
        from winnow.runs.state import load_run
        from winnow.shards.formats.formats import FORMATS

        try:
            FORMATS.check(to)
        except ConfigError as error:
            raise ConfigError(f"--format: {error}") from None
        target = convert_shards(load_run(run), to, out, lambda path: print(printable(path), flush=True))
        print(f"shards and manifest: {printable(target)}")


if __name__ == "__main__":
    shards()
