"""``winnow status``: how far a run is, from its folder alone."""

from typing import Annotated

import typer

from .why import RunFolder


def status(
    run: RunFolder,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Show stages, units done and left, failures, who works here, and the current shard set. Needs no cluster.

    Exit code 1 when a finished run's manifest is missing or damaged.
    """
    from winnow.report.printable import printable

    from .exit_codes import FAILED, true_exit_codes

    with true_exit_codes():
        import sys
        from dataclasses import asdict

        import orjson
        from rich.console import Console
        from rich.table import Table

        from winnow.runs.status import status_of
        from winnow.storage.address import join

        found = status_of(run)
        if as_json:
            sys.stdout.buffer.write(orjson.dumps(asdict(found), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            if found.damage:
                sys.exit(FAILED)
            return
        console = Console()

        def say(line: str) -> None:
            console.print(printable(line), soft_wrap=True, markup=False, highlight=False)

        say(f"{found.run}: {found.state}")
        if found.message:
            say(found.message)
        if found.holder:
            who = f"process {found.holder.process} on {found.holder.host}"
            gone = ", which is gone" if found.holder.abandoned else ""
            say(f"held by {who}{gone}; renewed {found.holder.age_seconds:,.0f} s ago")
        if found.executor:
            say(f"units are done by {found.executor}")
        if found.stages:
            table = Table("stage", "state", "units", "done", "left", "of them before")
            for stage in found.stages:
                numbers = (stage.units, stage.done, stage.units - stage.done, stage.reused)
                table.add_row(stage.name, stage.state, *(f"{number:,}" for number in numbers))
            console.print(table)
        for stage in found.stages:
            for failure in stage.failed:
                say(f"failed: {stage.name} unit {failure['number']}: {failure['message']}")
        if found.shards:
            say(f"current shard set: {join(found.run, found.shards['folder'])}")
            outcomes = found.shards["books"]["outcomes"]
            told = ", ".join(f"{name} {number:,}" for name, number in outcomes.items())
            say(f"books: {found.shards['books']['records']:,} records: {told}")
            for name, split in found.shards["splits"].items():
                say(f"  {name}: {split['documents']:,} documents, {split['tokens']:,} tokens, {split['shards']} shards")
            for line in found.warnings:
                say(line)
        elif found.damage:
            say(f"current shard set: {found.damage}")
            sys.exit(FAILED)
        else:
            say("no shard set yet")


if __name__ == "__main__":
    typer.run(status)
