"""``winnow release``: documents that were quarantined are tried again by the next run."""

import sys
from typing import Annotated

import typer

from .why import RunFolder


def release(
    run: RunFolder,
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="[NUMBER]...", help="Numbers of documents; without any, all of them.")
    ] = None,
    show: Annotated[
        bool, typer.Option("--list", help="Only list them with their reasons; nothing is changed.")
    ] = False,
) -> None:
    """Take documents out of quarantine, so that the next run tries them again.

    Documents that end the process that works on them are quarantined for the machine, the versions and the models that
    they met; where these change, runs try them again by themselves. Exit code 3: a run is at work in the folder.
    """
    from .exit_codes import REFUSED, true_exit_codes

    with true_exit_codes():
        from winnow.engine.lease import hold_lease
        from winnow.engine.quarantine import entries
        from winnow.engine.quarantine import release as release_documents
        from winnow.report.printable import printable
        from winnow.runs.folder import run_folder

        store, wanted = run_folder(run), set(numbers or [])
        if show:
            found = {doc: reason for doc, reason, _ in entries(store) if not wanted or doc in wanted}
        else:
            with hold_lease(store):
                found = release_documents(store, lambda doc, _: not wanted or doc in wanted)
        for doc, reason in sorted(found.items()):
            print(printable(f"document {doc}: {reason}", lines=False))
        if unknown := sorted(wanted - found.keys()):
            print(
                f"winnow: not quarantined in {run}: {', '.join(map(str, unknown))}; see `winnow release {run} --list`"
            )
            sys.exit(REFUSED)
        told = "are quarantined" if show else "are released; the next run tries them again"
        print(f"{len(found):,} documents {told}")


if __name__ == "__main__":
    typer.run(release)
