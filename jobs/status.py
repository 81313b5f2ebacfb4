"""``winnow status``: how far a run is, from its folder alone."""

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .durations import duration
from .exit_codes import FAILED, OK, RESUMABLE, true_exit_codes
from .why import RunFolder

if TYPE_CHECKING:
    from winnow.runs.status import Status

LINE_SECONDS = 15.0
"""Where output is no terminal, `--watch` prints a line when something changed, and at least so often."""


def status(
    run: RunFolder,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again and again until the run has ended, and end as it did.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.05, max=3600, help="With --watch: seconds between two looks.")] = 2.0,
) -> None:
    """Show stages, units done and left, speed, time left, failures, and the current shard set. Needs no cluster.

    Exit code 1 when a finished run's manifest is missing or damaged. With --watch: 0 when the run has finished, 75
    when it was stopped, 1 when it failed or died.
    """
    with true_exit_codes():
        import orjson

        from winnow.runs.folder import latest_run
        from winnow.runs.status import status_of

        run = latest_run(run)
        if watch:
            sys.exit(_watch(run, every, as_json=as_json))
        found = status_of(run)
        if as_json:
            sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        else:
            _show(found)
        if found.damage:
            sys.exit(FAILED)


def _watch(run: str, every: float, *, as_json: bool) -> int:
    """Show a run until it has ended; the exit code. A terminal has one table, anything else lines."""
    import contextlib

    import orjson
    from rich.console import Console
    from rich.live import Live

    from winnow.report.printable import printable
    from winnow.runs.status import status_of

    console = Console()
    alive = console.is_terminal and not as_json
    last, told = "", 0.0
    with Live(console=console, auto_refresh=False) if alive else contextlib.nullcontext() as live:
        while True:
            found = status_of(run)
            line = orjson.dumps(found).decode() if as_json else printable(_line(found), lines=False)
            if live is not None:
                live.update(_picture(found), refresh=True)
            elif _without_times(found) != last or time.monotonic() - told >= LINE_SECONDS:
                print(line, flush=True)
                last, told = _without_times(found), time.monotonic()
            if found.state not in ("running", "new"):
                break
            time.sleep(every)
    if not as_json:
        _show(found)
    return {"finished": FAILED if found.damage else OK, "stopped": RESUMABLE}.get(found.state, FAILED)


def _without_times(found: "Status") -> str:
    """What has to change before another line is worth it."""
    return repr((found.state, [(stage.name, stage.state, stage.done) for stage in found.stages]))


def _line(found: "Status") -> str:
    """The stage at work, and what is left."""
    if found.state != "running" or not found.stages:
        return f"{found.run}: {found.state}"
    stage = found.stages[-1]
    parts = [f"{stage.name}: {stage.done:,} of {stage.units:,} units"]
    if stage.mb_per_second is not None:
        parts.append(f"{stage.mb_per_second:,.1f} MB/s")
    if stage.seconds_left is not None:
        parts.append(f"{duration(stage.seconds_left)} left of the stage")
    if found.seconds_left is not None:
        parts.append(f"about {duration(found.seconds_left)} left of the run")
    return ", ".join([*parts, f"{len(found.ahead)} stages ahead"])


def _picture(found: "Status") -> Any:
    from rich.console import Group
    from rich.text import Text

    from winnow.report.printable import printable

    return Group(Text(printable(f"{found.run}: {found.state}", lines=False)), _stages(found), Text(_left(found)))


def _left(found: "Status") -> str:
    if found.state != "running":
        return ""
    ahead = f"not begun: {', '.join(found.ahead)}" if found.ahead else "no stage is ahead"
    left = "unknown yet" if found.seconds_left is None else f"about {duration(found.seconds_left)}"
    return f"time left of the whole run: {left}; {ahead}"


def _stages(found: "Status") -> Any:
    from winnow.report.tables import add_names, table_of

    table = table_of(["stage", "state"], ["units", "done", "before", "MB/s", "time", "left"])
    for stage in found.stages:
        numbers = (stage.units, stage.done, stage.reused)
        rate = "" if stage.mb_per_second is None else f"{stage.mb_per_second:,.1f}"
        left = "" if stage.seconds_left is None else duration(stage.seconds_left)
        took = duration(stage.seconds) if stage.seconds else ""
        add_names(table, stage.name, stage.state, *(f"{number:,}" for number in numbers), rate, took, left)
    return table


def _show(found: "Status") -> None:
    from rich.console import Console

    from winnow.report.printable import printable
    from winnow.storage.address import join

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
        console.print(_stages(found))
    if left := _left(found):
        say(left)
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
    else:
        none = (
            "no run has begun in this folder: `winnow run` begins one" if found.state == "new" else "no shard set yet"
        )
        say(f"current shard set: {found.damage}" if found.damage else none)


if __name__ == "__main__":
    typer.run(status)
