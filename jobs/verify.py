"""``winnow verify``: hash every shard against the manifest and close the books again."""

import sys
from typing import Annotated

import typer

from winnow.report.printable import printable

from .exit_codes import FAILED, true_exit_codes
from .why import RunFolder


def verify(
    run: RunFolder,
    work: Annotated[bool, typer.Option(help="Hash the work tables too: reads the whole run folder.")] = False,
) -> None:
    """Check a finished run from its files alone. Exit code 1 when anything differs."""
    with true_exit_codes():
        from winnow.audit.verify.verify import check_shards, check_work, has_manifest, recount
        from winnow.runs.state import load_run

        finished = load_run(run)
        faults = check_shards(finished)
        damaged = check_work(finished, hashes=work)
        faults += damaged
        # the books cannot be read from damaged tables, nor compared without a manifest
        balances = recount(finished) if not damaged and has_manifest(finished) else []
        faults += [str(balance) for balance in balances if balance.expected != balance.found]
        for balance in balances:
            mark = "ok  " if balance.expected == balance.found else "OPEN"
            print(f"{mark} {balance}")
        if faults:
            print("\n".join(f"FAULT {printable(fault)}" for fault in faults))
            sys.exit(FAILED)
        shards = sum(len(split["shards"]) for split in finished.manifest["shards"]["splits"].values())
        print(f"ok   {shards} shards match the manifest by sha256; the books close")


if __name__ == "__main__":
    typer.run(verify)
