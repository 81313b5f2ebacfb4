"""``winnow index``: the folder that scheduled runs share (``dedup.index``)."""

import sys
from typing import Annotated

import typer

from winnow.report.printable import printable

from .exit_codes import FAILED, true_exit_codes
from .paths import settled

index = typer.Typer(
    help="The index of earlier runs (dedup.index): list its segments, check them, drop one.", no_args_is_help=True
)

IndexFolder = Annotated[
    str, typer.Argument(metavar="PATH", callback=settled, help="The index folder (`dedup.index` in the config).")
]


@index.command()
def ls(path: IndexFolder) -> None:
    """List the segments: one for every run that committed to the index, with its documents, kept ones, and size.

    Documents are all that passed the run's filter; later runs are compared with the kept ones.
    """
    with true_exit_codes():
        from rich.console import Console
        from rich.table import Table

        from winnow.index.folder import open_index

        opened = open_index(path)
        live = opened.segments()
        table = Table("segment", "committed")
        for column in ("files", "documents", "kept", "MB"):
            table.add_column(column, justify="right")
        table.add_column("run", overflow="fold")
        for number, s in opened.segments(dropped=True).items():
            shown = f"{s.bytes / 1e6:,.1f}" if number in live else "dropped"
            run = printable(s.run, lines=False)
            table.add_row(str(number), s.committed, f"{len(s.files):,}", f"{s.documents:,}", f"{s.kept:,}", shown, run)
        table.add_section()
        sums = [sum(values) for values in zip(*((s.documents, s.kept, s.bytes) for s in live.values()), strict=True)]
        documents, kept, size = sums or (0, 0, 0)
        files = sum(len(s.files) for s in live.values())
        table.add_row("all", "", f"{files:,}", f"{documents:,}", f"{kept:,}", f"{size / 1e6:,.1f}", "")
        Console().print(table)


@index.command()
def check(path: IndexFolder) -> None:
    """Check the index from its files: hashes, row counts, order of keys, numbers. Exit code 1 when anything differs."""
    with true_exit_codes():
        from winnow.index.check import check_index
        from winnow.index.folder import open_index

        opened = open_index(path)
        faults = check_index(opened)
        if leftovers := opened.leftovers():
            print(
                f"note {len(leftovers):,} files belong to no segment: of a run that is at work, failed or was killed; "
                "the next run that commits removes them"
            )
        if faults:
            print("\n".join(f"FAULT {printable(fault)}" for fault in faults))
            sys.exit(FAILED)
        live = opened.segments().values()
        print(f"ok   {len(live)} segments, {sum(segment.documents for segment in live):,} documents")


@index.command()
def drop(
    path: IndexFolder,
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", callback=settled, help="The segment's number, or the run folder as `ls` shows it."
        ),
    ],
) -> None:
    """Take one run's segment out of the index.

    Later runs are no longer compared with what that run kept, and take its files when they meet them again. What is
    done stays: runs after it have removed documents that repeat documents kept by it, so with that run's shards these
    texts are gone from the collection. Documents that only it linked are no longer held in one split. The number is
    never given again.
    """
    with true_exit_codes():
        from winnow.index.folder import open_index
        from winnow.index.join import hold_index

        opened = open_index(path)
        with hold_index(opened):
            segment = opened.find(run)
            later = [s.number for s in opened.segments().values() if segment.number in s.against]
            opened.drop(segment.number)
        print(printable(f"dropped segment {segment.number}, {segment.kept:,} kept documents, of {segment.run}"))
        if later:
            print(
                f"segments {', '.join(map(str, later))} were deduplicated against it: they lack documents that only it "
                "kept; `winnow why` still names these keepers by number"
            )
