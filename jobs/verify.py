"""``winnow verify``: hash every shard against the manifest and close the books again."""

import sys
from typing import Annotated

import typer

from jobs.exits import FAILED, printable, true_exit_codes
from jobs.why import RunFolder


def verify(
    run: RunFolder,
    work: Annotated[bool, typer.Option(help="Hash the work tables too: reads the whole run folder.")] = False,
) -> None:
    """Check a finished run from its files alone. Exit code 1 when anything differs."""
    with true_exit_codes():
        from pipeline.finished import load_finished
        from pipeline.verify import check_shards, check_work, recount

        finished = load_finished(run)
        faults = check_shards(finished)
        damaged = check_work(finished, hashes=work)
        faults += damaged
        balances = [] if damaged else recount(finished)  # the books cannot be read from damaged tables
        faults += [str(balance) for balance in balances if balance.expected != balance.found]
        shards = sum(len(split["shards"]) for split in finished.manifest["shards"]["splits"].values())
        for balance in balances:
            mark = "ok  " if balance.expected == balance.found else "OPEN"
            print(f"{mark} {balance}")
        if faults:
            print("\n".join(f"FAULT {printable(fault)}" for fault in faults))
            sys.exit(FAILED)
        print(f"ok   {shards} shards match the manifest by sha256; the books close")


if __name__ == "__main__":
    typer.run(verify)
