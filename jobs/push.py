"""``winnow push``: a finished run becomes a data set on a hub."""

import sys
from typing import Annotated

import typer

from .exit_codes import OK, REFUSED, leave, log_to_stderr, true_exit_codes
from .paths import settled
from .why import RunFolder


def push(
    run: RunFolder,
    target: Annotated[
        str,
        typer.Argument(
            metavar="hf://datasets/OWNER/NAME[@BRANCH]",
            callback=settled,
            help="The data set; made where it is missing.",
        ),
    ],
    private: Annotated[
        bool,
        typer.Option("--private/--public", help="Who may see a data set that is made now."),
    ] = True,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove what the branch holds and is not this run's; git keeps it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be done, and do nothing.")] = False,
    documents: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which folder of the run's `documents`; `none` pushes the shards alone."),
    ] = None,
) -> None:
    """Push the shards of a finished run, and its clean text, with a card made from the manifest.

    What the hub has already is not sent again: after an interruption the same command goes on. README.md comes last; a
    data set without it is not whole. The token comes from HF_TOKEN in the environment.
    """
    from winnow.report.printable import printable

    log_to_stderr()
    with true_exit_codes():
        from winnow.finished.push import push as push_run
        from winnow.runs.state import load_run
        from winnow.storage.address import check_address
        from winnow.storage.hub import is_hub, parse_hub

        if not is_hub(target):
            print(f"winnow: {printable(target)}: expected hf://datasets/OWNER/NAME", file=sys.stderr)
            sys.exit(REFUSED)
        address = parse_hub(check_address(target))
        done = push_run(
            load_run(run),
            address,
            private=private,
            replace=replace,
            dry_run=dry_run,
            documents=documents,
            progress=lambda line: print(printable(line, lines=False), flush=True),
        )
        would = "would be " if dry_run else ""
        print(
            f"{done.sent:,} of {done.files:,} files {would}sent ({done.sent_bytes:,} of {done.bytes:,} bytes), "
            f"{done.removed:,} {would}removed"
        )
        if done.commit:
            print(f"{address.at(done.commit).name}")
    leave(OK)


if __name__ == "__main__":
    typer.run(push)
