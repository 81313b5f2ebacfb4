"""What a removal request to a finished run costs, part by part.

    python -m benchmarks.forget RUN [--documents 10] [--match TEXT]

RUN is the folder of a finished run; nothing of it is changed: each request is made to a copy beside it, which is
removed again. One request asks for ids drawn at random from the kept documents, with their near-duplicates; with
``--match`` another looks for a text. Prints seconds (wall, and processor time of this process) of the whole, of its
parts and of each stage, in the process (`--executor inline`), and megabytes of tokens, text and shards.
"""

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from winnow.finished.forget import forget as forgetting
from winnow.finished.forget.request import Request
from winnow.looking.list_documents import names_of
from winnow.runs.state import load_run
from winnow.schemas import KEPT
from winnow.stages.tables import read_parquet

PARTS = ("search", "_begin", "_vocabulary", "run_steps", "check", "write_reports")


def drawn_ids(folder: str, number: int) -> tuple[str, ...]:
    """Ids of kept documents, the same each time."""
    run, ids = load_run(folder), []
    for place, record in enumerate(run.ledger):
        table = read_parquet(run.store, record.outputs["decisions"].reference(), ["doc", "outcome"])
        kept = table.filter(pc.equal(table.column("outcome"), KEPT)).column("doc").to_numpy()
        ids += [name for _, (name, _) in names_of(run, place, kept)]
    return tuple(random.Random(1).sample(ids, number))


def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which tells its seconds."""

    def told(*given: Any, **named: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            return call(*given, **named)
        finally:
            print(f"  {name:15} {time.perf_counter() - wall:7.2f} s, {time.process_time() - cpu:6.2f} s CPU")

    return told


def measure(folder: str, what: str, request: Request) -> None:
    """One request to a copy of the run."""
    with tempfile.TemporaryDirectory(dir=Path(folder).parent) as beside:
        copy = f"{beside}/run"
        shutil.copytree(folder, copy)
        engines: list[Any] = []
        make = forgetting.Engine
        forgetting.Engine = lambda *given, **named: engines.append(make(*given, **named)) or engines[-1]  # type: ignore
        wall, cpu = time.perf_counter(), time.process_time()
        print(what)
        done = forgetting.forget(copy, request, executor="inline")
        print(f"  {'in all':15} {time.perf_counter() - wall:7.2f} s, {time.process_time() - cpu:6.2f} s CPU")
        forgetting.Engine = make  # type: ignore[misc]
        found = len(done.found.documents) if done.found else 0
        print(f"  {found:,} documents, {done.proof['check']['tokens']:,} tokens searched")
        for stage in engines[0].summaries:
            units = f"{stage.units - stage.reused:3} of {stage.units:3} units"
            print(f"  {stage.name:18} {units} {stage.cpu_seconds:6.2f} s CPU")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forget", description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--documents", type=int, default=10)
    parser.add_argument("--match")
    options = parser.parse_args()
    for name in PARTS:
        setattr(forgetting, name, timed(name.strip("_"), getattr(forgetting, name)))
    ids = drawn_ids(options.run, options.documents)
    measure(options.run, f"{len(ids)} ids and their near-duplicates", Request(ids=ids, near=True))
    if options.match:
        measure(options.run, "a text", Request(match=(options.match,)))


if __name__ == "__main__":
    main()
