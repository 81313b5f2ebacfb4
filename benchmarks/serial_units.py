"""What units that look at a whole corpus hold and take, a document: over made tables of two sizes.

    python -m benchmarks.serial_units [--documents 500000 1000000]

Memory is the most that numpy and Python had at once (tracemalloc), inputs included; seconds are of the processor, and
measured by themselves. Of the sample's stages, the largest unit is told: it holds a part (64,000 documents here), a
range or some clusters (16 MB here), so its memory does not grow with the documents.
"""

import argparse
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from benchmarks.measuring import machine
from winnow.audit.verify.sample import IN, SampleCheck
from winnow.config.config import Config, parse_config
from winnow.dedup.index import indexed_documents
from winnow.engine.config import ComputeConfig
from winnow.engine.engine import Engine
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.flow.components import find_groups, find_members
from winnow.flow.context import RunContext
from winnow.flow.select_sample import find_sample
from winnow.schemas import LINKS
from winnow.stages.select.sample import candidates_of, steps_of
from winnow.stages.select.scores import SCORES
from winnow.stages.tables import column_to_numpy, ipc_output, parquet_output, read_ipc
from winnow.storage.open_store import open_store
from winnow.storage.store import Store

PART_DOCUMENTS, PARTITION_MB = 64_000, 16
EXAMPLES = {"positive": "p.jsonl", "negative": "n.jsonl"}
EVERYTHING: Json = {
    "quality": {**EXAMPLES, "threshold": 0.1, "temperature": 1.0},
    "prototypes": {"drop_share": 0.1},
    "importance": {"target": "t.jsonl", "max_features": 1000},
}


def write_scores(unit: Unit, workspace: Workspace) -> None:
    """A part of made scores."""
    random, first, number = np.random.default_rng(unit.number), unit.inputs["first"], unit.inputs["documents"]
    with parquet_output(workspace, "scores", SCORES) as table:
        table.write(
            {
                "doc": np.arange(first, first + number, dtype=np.uint64),
                "source": random.integers(0, 4, number).astype(np.uint16),
                "tokens": random.integers(1, 1000, number),
                "cluster": random.integers(0, 1000, number).astype(np.int32),
                "centre_cosine": random.random(number, np.float32),
                "importance": random.random(number),
                "features": random.integers(1, 1000, number),
                "quality": random.random(number),
                "stays": np.ones(number, bool),
            }
        )
    for name in ("documents", "stay"):
        workspace.count(name, number)


@dataclass
class Measuring(Engine):
    """An engine that notes what each unit took."""

    memory: bool = False
    """Whether memory is measured, which takes time."""
    found: dict[str, list[float]] = field(default_factory=dict)
    """By stage, of each unit: bytes, or else seconds of the processor."""

    def run(
        self, stage: Stage, units: list[Unit], recompute_if: Callable[[Record], bool] = lambda _record: False
    ) -> list[Record]:
        """The same, measured."""
        self.found.setdefault(stage.name, [])

        def run(unit: Unit, workspace: Workspace) -> None:
            self.measured(stage.name, partial(stage.run, unit, workspace))

        return super().run(replace(stage, run=run), units, recompute_if)

    def measured(self, name: str, work: Callable[[], None]) -> None:
        """Do some work of this name, and note what it took."""
        if self.memory:
            tracemalloc.start()
        started = time.process_time()
        work()
        took = tracemalloc.get_traced_memory()[1] if self.memory else time.process_time() - started
        self.found.setdefault(name, []).append(took)
        tracemalloc.stop()


def draw(documents: int, select: Json, *, memory: bool) -> dict[str, list[float]]:
    """The stages of a sample of so many documents; what ``Measuring`` found."""
    sources = [{"name": name, "path": "x.jsonl"} for name in "abcd"]
    config = parse_config({"run": "x", "sources": sources, "select": {"semantic": "off", **select}})
    firsts = range(0, documents, PART_DOCUMENTS)
    units = [Unit(n, {"first": at, "documents": min(PART_DOCUMENTS, documents - at)}) for n, at in enumerate(firsts)]

    def work(context: Any) -> None:
        scored = context.engine.run(Stage("made", 1, {}, write_scores), units)
        context.run = SimpleNamespace(parts=[SimpleNamespace(first_doc=at) for at in firsts])
        assert config.select is not None
        sampled = find_sample(cast(RunContext, context), config.select, scored)
        context.engine.measured("verify", partial(verify, context.engine.store, config, scored, sampled))

    return found_by(config, work, memory=memory)


def verify(store: Store, config: Config, scored: list[Record], sampled: list[Record]) -> None:
    """What `winnow verify` looks at of a sample, part by part."""
    assert config.select is not None
    steps = steps_of(config.select)
    check = SampleCheck(steps, None)
    for scores, lost in zip(scored, sampled, strict=True):
        candidates = candidates_of(store, [scores.outputs["scores"].reference()], steps)
        drops, step = read_ipc(store, lost.outputs["drops"].reference()), np.full(len(candidates.docs), IN, np.int8)
        step[np.searchsorted(candidates.docs, column_to_numpy(drops, "doc"))] = column_to_numpy(drops, "rule")
        check.add(candidates, step)
    assert all(balance.expected == balance.found for balance in check.balances())


def found_by(config: Config, work: Callable[[Any], None], *, memory: bool) -> dict[str, list[float]]:
    """What ``Measuring`` found while ``work`` ran stages; not of the one that made their input."""
    with tempfile.TemporaryDirectory() as folder:
        engine = Measuring(open_store(folder), ComputeConfig(executor="inline"), memory=memory)
        work(SimpleNamespace(engine=engine, config=config, sizes=SimpleNamespace(partition_mb=PARTITION_MB)))
        del engine.found["made"]
        return engine.found


def write_links(unit: Unit, workspace: Workspace) -> None:
    """A part of a made index, a segment of its own: four documents a component, and one of the segment before."""
    number, part = unit.inputs["documents"], unit.number
    rows = np.arange(number, dtype=np.uint64)
    docs, component = indexed_documents(part, rows), rows // np.uint64(4)
    if part:
        docs = np.concatenate([docs, indexed_documents(part - 1, rows[::4])])
        component = np.concatenate([component, component[::4]])
    with ipc_output(workspace, "links", LINKS) as table:
        table.write({"component": component, "doc": docs})


def write_matched(unit: Unit, workspace: Workspace) -> None:
    """What a made run meets: every fifth component of that index, all named by documents of its first part."""
    names = indexed_documents(0, np.arange(0, unit.inputs["documents"], 20, dtype=np.uint64))
    with ipc_output(workspace, "matched_components", LINKS) as table:
        table.write({"component": np.arange(len(names), dtype=np.uint64), "doc": names})


def group(documents: int, how: str, *, memory: bool) -> dict[str, list[float]]:
    """The stages of the components of an index of ten segments; what ``Measuring`` found."""
    values: Json = {"run": "x", "sources": [{"name": "a", "path": "x"}], "dedup": {"components": how}}
    config, number = parse_config(values), documents // 10

    def work(context: Any) -> None:
        made = Stage("made", 1, {}, write_links)
        written = context.engine.run(made, [Unit(n, {"part": n, "documents": number}) for n in range(10)])
        entries: list[Json] = [
            {"part": n, "segment": n, "kept": number, "links": record.outputs["links"].reference()}
            for n, record in enumerate(written)
        ]
        context.run = SimpleNamespace(records={})
        context.index = SimpleNamespace(run=lambda engine, stage, units: engine.run(stage, units), entries=entries)
        grouped = find_groups(cast(RunContext, context), context.engine.publish_list(made, "index", entries), entries)
        met = context.engine.run(Stage("made", 1, {}, write_matched), [Unit(0, {"documents": number})])
        find_members(cast(RunContext, context), met, grouped)

    return found_by(config, work, memory=memory)


def tell(name: str, documents: int, measure: Callable[..., dict[str, list[float]]]) -> None:
    """Print what stages take; units of stages that are run several times are told together."""
    seconds, held = (measure(memory=memory) for memory in (False, True))
    print(f"{name}, {documents:,} documents: {sum(map(sum, seconds.values())) / documents * 1e6:.2f} us a document")
    for stage, took in seconds.items():
        cost = f"{sum(took) / documents * 1e6:6.2f} us a document, {max(took):6.2f} s"
        print(f"  {stage:22}{len(took):>5} units, {cost} and {max(held[stage]) / 1e6:6.1f} MB the largest", flush=True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[500_000, 1_000_000])
    arguments = parser.parse_args()
    print(machine())
    draw(1_000, EVERYTHING | {"sample": {"target_tokens": 9_000}}, memory=False)  # compiles
    group(1_000, "rounds", memory=False)
    for documents in arguments.documents:
        budget = {"target_tokens": documents * 200}
        everything = EVERYTHING | {"sample": budget | {"cluster_temperature": 0.5}}
        tell("a budget alone", documents, partial(draw, documents, {"sample": budget}))
        tell("everything", documents, partial(draw, documents, everything))
        for how in ("one_unit", "rounds"):
            tell(f"an index, {how}", documents, partial(group, documents, how))


if __name__ == "__main__":
    main()
