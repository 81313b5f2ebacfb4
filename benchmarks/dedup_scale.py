"""Near-duplicate removal at scale: millions of made-up signatures through the real stages, and the law for more.

    python -m benchmarks.dedup_scale [--documents 20000000] [--folder FOLDER] [--executor inline]
    python -m benchmarks.dedup_scale --rounds --partition-mb 8 (components in rounds, in as small partitions)
    python -m benchmarks.dedup_scale --components 250000000    (components in one unit, alone)
    python -m benchmarks.dedup_scale --rounds --components 50000000    (the same documents in rounds, edges on disk)
    python -m benchmarks.dedup_scale --hard                    (a million copies of one text, 100,000 near-copies)

Writes the tables that the stages read (1.06 KB a document), runs bands, edges, components, candidates and keepers
through the engine, prints time, disk and peak memory of each, and removes everything again. Band keys are deleted as
soon as the edges are there, so the disk needs about 1.5 KB a document. Memory is that of one process, which runs all
units one after another (with `--executor ray`: the largest worker's).
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.dedup_tables import (
    CLUSTERED,
    PART_DOCUMENTS,
    MadeUpParts,
    WatchedEngine,
    clusters_of,
    deduplicate,
    fates,
    make_parts,
    restart_peak,
)
from benchmarks.measuring import machine
from winnow import schemas
from winnow.config.config import parse_config
from winnow.dedup.components import connected_components
from winnow.dedup.config import DedupConfig
from winnow.engine.config import ComputeConfig
from winnow.engine.engine import StageSummary
from winnow.engine.records import Record, Unit, total
from winnow.engine.stage import Stage, Workspace, peak_memory_mb
from winnow.flow.components import HALVES, STAGE, find_components
from winnow.flow.context import RunContext
from winnow.stages.dedup.components import TABLE_BYTES
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import ipc_output
from winnow.storage.local_store import LocalStore

LAWS = (250_000_000, 2_500_000_000)
"""Documents of 1 TB and of 10 TB of text, at 4 KB each."""
DISK_BYTES_A_DOCUMENT = 1_600
EDGES_A_CANDIDATE = 16
"""Two documents have an edge in every partition where they share a band: 2.5 a candidate in 2 partitions, 6.7 in 8,
15.9 in 410, where hardly two shared bands are left together."""
EDGE_BYTES = 16


class ScaleEngine(WatchedEngine):
    """Deletes band keys as soon as the edges are there: nothing reads them again."""

    def run(self, stage: Stage, units: list[Unit], *rest: object) -> list[Record]:
        """As the engine does."""
        if stage.name in ("components", "component_links") and "bands" in self.committed:
            for record in self.committed["bands"]:
                self.store.remove(record.outputs["bands"].path)
            del self.committed["bands"]
        return super().run(stage, units, *rest)


def print_stages(summaries: list[StageSummary], documents: int) -> None:
    """One row a stage: what was measured."""
    print(f"{'stage':16}{'units':>8}{'seconds':>10}{'CPU s':>9}{'CPU us/doc':>12}{'MB':>10}{'peak MB':>9}")
    for summary in summaries:
        print(
            f"{summary.name:16}{summary.units:>8,}{summary.seconds:>10,.1f}{summary.cpu_seconds:>9,.1f}"
            f"{summary.cpu_seconds / documents * 1e6:>12.2f}{summary.output_bytes / 1e6:>10,.0f}"
            f"{summary.peak_memory_mb:>9,.0f}"
        )


def print_laws(summaries: list[StageSummary], documents: int, candidates: int, edges: int) -> None:
    """CPU hours and disk grow with the documents, edges and components with the edges that many partitions give."""
    print(f"\n{'law':16}" + "".join(f"{f'{law / 1e6:,.0f} M documents':>30}" for law in LAWS))
    print(f"{'':16}" + "".join(f"{'CPU hours':>15}{'GB on disk':>15}" for _ in LAWS))
    share = candidates / documents
    for summary in summaries:
        hours, gigabytes = summary.cpu_seconds / 3600 / documents, summary.output_bytes / 1e9 / documents
        if summary.name == "edges":
            gigabytes = share * EDGES_A_CANDIDATE * EDGE_BYTES / 1e9
        elif summary.name == "components":
            hours *= share * EDGES_A_CANDIDATE * documents / edges
        print(f"{summary.name:16}" + "".join(f"{hours * law:>15,.2f}{gigabytes * law:>15,.0f}" for law in LAWS))
    print(f"{'candidates, M':16}" + "".join(f"{share * law / 1e6:>30,.0f}" for law in LAWS))
    memory = "".join(f"{share * law * TABLE_BYTES / 1e9:>30,.1f}" for law in LAWS)
    print(f"{'components, GB':16}{memory}   of memory, in one unit; in rounds, and in other stages, a partition")


def run_stages(documents: int, folder: Path, compute: ComputeConfig, how: str) -> None:
    """Make the tables, run the stages, print."""
    free = shutil.disk_usage(folder).free
    if free < documents * DISK_BYTES_A_DOCUMENT:
        sys.exit(
            f"{folder} has {free / 1e9:,.0f} GB free; {documents:,} documents need "
            f"{documents * DISK_BYTES_A_DOCUMENT / 1e9:,.0f}: name another --folder or fewer --documents"
        )
    engine = ScaleEngine(LocalStore(str(folder)), compute)
    parts, filtered = make_parts(engine, documents, DedupConfig().minhash)
    committed = deduplicate(engine, parts, filtered, {"components": how})
    chosen = fates(engine, committed["keepers"])
    sizes = np.unique(chosen["component"], return_counts=True)[1]
    edges = total(committed["edges"], "edges")
    print(f"{documents:,} documents, {CLUSTERED:.0%} of them in clusters of power-law sizes")
    print(
        f"candidates {len(chosen['doc']):,} in {len(sizes):,} components (largest {sizes.max():,}), {edges:,} edges; "
        f"removed {int((chosen['keeper'] != schemas.NO_DOC).sum()):,}, {int(chosen['exact'].sum()):,} of them copies\n"
    )
    print_stages(engine.summaries, documents)
    if how == "rounds":
        print_rounds(engine.summaries, len(chosen["doc"]))
        return
    laws = [summary for summary in engine.summaries if summary.name != "made"]
    print_laws(laws, documents, len(chosen["doc"]), edges)


def print_rounds(summaries: list[StageSummary], candidates: int) -> None:
    """What rounds cost, a candidate."""
    of_rounds = [s for s in summaries if s.name in (*HALVES, STAGE)]
    rounds = sum(summary.name == "small_star" for summary in of_rounds)
    seconds, written = (sum(getattr(s, what) for s in of_rounds) for what in ("cpu_seconds", "output_bytes"))
    print(
        f"\n{rounds} rounds, the last of which changed nothing: {seconds / candidates * 1e6:.2f} us of CPU and "
        f"{written / candidates:.0f} bytes of disk a candidate"
    )


def write_edges(unit: Unit, workspace: Workspace) -> None:
    """A file of edges, as the reduce side of the bands would leave it."""
    edges = np.load(unit.inputs["path"])
    with ipc_output(workspace, "edges", schemas.EDGES) as table:
        table.write({"a": np.ascontiguousarray(edges[:, 0]), "b": np.ascontiguousarray(edges[:, 1])})
    workspace.count("edges", len(edges))


def run_rounds(documents: int, folder: Path, compute: ComputeConfig) -> None:
    """Components alone, in rounds, of the edges that ``--components`` joins in one unit."""
    engine = WatchedEngine(LocalStore(str(folder)), compute)
    units = []
    for number, piece in enumerate(edge_chunks(documents)):
        np.save(path := folder / f"edges-{number}.npy", piece)
        units.append(Unit(number, {"path": str(path)}, piece.nbytes))
    edging = Stage("edges", 1, {}, write_edges)
    edged = engine.run(edging, units)
    config = parse_config(
        {"run": str(folder), "sources": [{"name": "made", "path": "-"}], "dedup": {"components": "rounds"}}
    ).model_copy(update={"compute": compute})
    none = {"path": "-", "rows": 0, "hash": "-"}
    parts = [
        Part(number, first, PART_DOCUMENTS * 4096, PART_DOCUMENTS, none, none, none)
        for number, first in enumerate(range(0, documents, PART_DOCUMENTS))
    ]
    context = RunContext(MadeUpParts(parts, engine.store, config, engine.committed), engine, {})
    candidates = total(find_components(context, edging, edged), "documents")
    print(
        f"components of {documents:,} documents in rounds: {candidates:,} candidates, {total(edged, 'edges'):,} edges\n"
    )
    print_stages(engine.summaries, candidates)
    print_rounds(engine.summaries, candidates)


def run_hard(folder: Path) -> None:
    """One component each: copies, near-copies, and pages of one template just under the threshold."""
    for what, documents, change in (
        ("copies of one text", 1_000_000, 0.0),
        ("near-copies of one text, 0.90 alike", 100_000, 0.05),
        ("one template, 0.79 alike", 25_000, 0.11),
    ):
        with tempfile.TemporaryDirectory(prefix="dedup-scale-", dir=folder) as run:
            engine = ScaleEngine(LocalStore(run), ComputeConfig(executor="inline"))
            committed = deduplicate(engine, *make_parts(engine, documents, DedupConfig().minhash, change=change))
            chosen = fates(engine, committed["keepers"])
            removed = chosen["keeper"] != schemas.NO_DOC
            print(f"\n{documents:,} {what}: {len(removed) - int(removed.sum()):,} candidates stay")
            print_stages(engine.summaries, documents)


def edge_chunks(documents: int, chunk: int = 4_000_000) -> Iterator[NDArray[np.uint64]]:
    """Star edges of the clusters of so many documents, in chunks as partitions would give them."""
    first = np.full(documents, -1, np.int64) if documents < chunk else np.full(int(documents * CLUSTERED), -1, np.int64)
    for start in range(0, documents, chunk):
        docs = np.arange(start, min(start + chunk, documents), dtype=np.uint64)
        cluster = clusters_of(docs, documents)
        docs, cluster = docs[cluster >= 0], cluster[cluster >= 0]
        named, row = np.unique(cluster, return_index=True)
        new = first[named] < 0
        first[named[new]] = docs[row[new]]
        edges = np.stack([first[cluster].astype(np.uint64), docs], axis=1)
        yield edges[edges[:, 0] != edges[:, 1]]


def run_components(documents: int) -> None:
    """Union-find alone: seconds, and bytes a candidate."""
    restart_peak()
    before = peak_memory_mb()
    edges = 0

    def counted() -> Iterator[NDArray[np.uint64]]:
        nonlocal edges
        for piece in edge_chunks(documents):
            edges += len(piece)
            yield piece

    started = time.process_time()
    docs, components = connected_components(counted())
    seconds = time.process_time() - started
    peak = peak_memory_mb() - before
    print(
        f"components of {documents:,} documents: {len(docs):,} candidates, {edges:,} edges, {seconds:,.0f} s of CPU "
        f"(the edges' making included), {peak:,.0f} MB at most, {peak * 1e6 / len(docs):.0f} bytes a candidate"
    )
    assert len(components) == len(docs)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=20_000_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where to make a folder")
    parser.add_argument("--executor", choices=("inline", "ray"), default="inline")
    parser.add_argument("--rounds", action="store_true", help="join candidates in rounds")
    parser.add_argument("--partition-mb", type=int, default=256, help="of exchanges")
    parser.add_argument("--components", type=int, metavar="DOCUMENTS", help="only the union-find of so many documents")
    parser.add_argument("--hard", action="store_true", help="only components that are hard by themselves")
    arguments = parser.parse_args()
    print(machine())
    if arguments.hard:
        run_hard(arguments.folder)
        return
    compute = ComputeConfig(executor=arguments.executor, partition_mb=arguments.partition_mb)
    if arguments.components and not arguments.rounds:
        run_components(arguments.components)
        return
    with tempfile.TemporaryDirectory(prefix="dedup-scale-", dir=arguments.folder) as folder:
        if arguments.components:
            run_rounds(arguments.components, Path(folder), compute)
        else:
            how = "rounds" if arguments.rounds else "one_unit"
            run_stages(arguments.documents, Path(folder), compute, how)


if __name__ == "__main__":
    main()
