"""Near-duplicate removal at scale: millions of made-up signatures through the real stages, and the law for more.

    python -m benchmarks.dedup_scale [--documents 20000000] [--folder FOLDER] [--executor inline]
    python -m benchmarks.dedup_scale --documents 100000000 --slabs 2    (in 38 GB of disk instead of 165)
    python -m benchmarks.dedup_scale --rounds --partition-mb 8 (components in rounds, in as small partitions)
    python -m benchmarks.dedup_scale --components 250000000    (components in one unit, alone)
    python -m benchmarks.dedup_scale --rounds --components 50000000    (the same documents in rounds, edges on disk)
    python -m benchmarks.dedup_scale --hard                    (a million copies of one text, 100,000 near-copies)

Writes the tables that the stages read (1.06 KB a document), runs bands, edges, components, candidates and keepers
through the engine, prints time, disk and peak memory of each, and removes everything again. Components are found as a
run would at that size; where that is in rounds, union-find does the same edges once more, for comparison. Tables are
removed as soon as nothing reads them, so the disk needs about 1.6 KB a document. With ``--slabs`` signatures are made
when they are read, and band keys stand for so many shares of the partitions one after another
(:mod:`benchmarks.dedup_slabs`): 0.38 KB a document with 2. Memory is that of one process, which runs all units one
after another (with `--executor ray`: the largest worker's).
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from benchmarks.dedup_slabs import AGAIN, IN_ONE_UNIT, SlabEngine, leave_free
from benchmarks.dedup_tables import (
    CLUSTERED,
    PART_DOCUMENTS,
    MadeUpParts,
    UnwrittenStore,
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
from winnow.engine.records import Unit, total
from winnow.engine.stage import Stage, Workspace, peak_memory_mb
from winnow.flow.components import HALVES, STAGE, find_components
from winnow.flow.context import RunContext
from winnow.stages.dedup.components import TABLE_BYTES
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import ipc_output
from winnow.storage.local_store import LocalStore

LAWS = (250_000_000, 2_500_000_000)
"""Documents of 1 TB and of 10 TB of text, at 4 KB each."""
WRITTEN_BYTES, BAND_BYTES, EDGES_BYTES, CANDIDATES_BYTES = 1_650, 512, 120, 350
"""Of disk, a document: all tables; band keys; edges beside them, and beside the candidates what else stands."""
EDGES_A_CANDIDATE = 16
"""Two documents have an edge in every partition where they share a band: 2.5 a candidate in 2 partitions, 6.7 in 8,
15.9 in 410, where hardly two shared bands are left together."""


def print_stages(summaries: list[StageSummary], documents: int) -> None:
    """One row a stage: what was measured."""
    print(f"{'stage':20}{'units':>8}{'seconds':>10}{'CPU s':>9}{'CPU us/doc':>12}{'MB':>10}{'peak MB':>9}")
    for summary in summaries:
        print(
            f"{summary.name:20}{summary.units:>8,}{summary.seconds:>10,.1f}{summary.cpu_seconds:>9,.1f}"
            f"{summary.cpu_seconds / documents * 1e6:>12.2f}{summary.output_bytes / 1e6:>10,.0f}"
            f"{summary.peak_memory_mb:>9,.0f}"
        )


def print_laws(summaries: list[StageSummary], documents: int, candidates: int, edges: int) -> None:
    """CPU hours and disk grow with the documents; what reads edges, with the edges that many partitions give."""
    print(f"\n{'law':20}" + "".join(f"{f'{law / 1e6:,.0f} M documents':>30}" for law in LAWS))
    print(f"{'':20}" + "".join(f"{'CPU hours':>15}{'GB on disk':>15}" for _ in LAWS))
    share = candidates / documents
    more_edges = share * EDGES_A_CANDIDATE * documents / edges
    rounds = any(summary.name == HALVES[0] for summary in summaries)
    hours: dict[str, float] = {}
    gigabytes: dict[str, float] = {}
    for summary in summaries:
        if summary.name in ("made", AGAIN):
            continue
        name = "in rounds" if summary.name in HALVES or (rounds and summary.name == STAGE) else summary.name
        grown = more_edges if summary.name in (HALVES[0], IN_ONE_UNIT + STAGE) or name == STAGE else 1.0
        larger = more_edges if summary.name in (HALVES[0], "edges") else 1.0
        hours[name] = hours.get(name, 0.0) + grown * summary.cpu_seconds / 3600 / documents
        gigabytes[name] = gigabytes.get(name, 0.0) + larger * summary.output_bytes / 1e9 / documents
    for name in hours:
        print(f"{name:20}" + "".join(f"{hours[name] * law:>15,.2f}{gigabytes[name] * law:>15,.0f}" for law in LAWS))
    print(f"{'candidates, M':20}" + "".join(f"{share * law / 1e6:>30,.0f}" for law in LAWS))
    memory = "".join(f"{share * law * TABLE_BYTES / 1e9:>30,.1f}" for law in LAWS)
    print(f"{'components, GB':20}{memory}   of memory, in one unit; in rounds, and in other stages, a partition")


def run_stages(documents: int, folder: Path, compute: ComputeConfig, how: str, slabs: int | None) -> None:
    """Make the tables, run the stages, print. Without ``slabs`` all tables are written whole."""
    free = shutil.disk_usage(folder).free
    needed = documents * (WRITTEN_BYTES if slabs is None else max(BAND_BYTES // slabs + EDGES_BYTES, CANDIDATES_BYTES))
    if free < needed:
        sys.exit(
            f"{folder} has {free / 1e9:,.0f} GB free; {documents:,} documents need {needed / 1e9:,.0f}: name another "
            "--folder, more --slabs or fewer --documents"
        )
    engine = SlabEngine(UnwrittenStore(str(folder)), compute, guard=partial(leave_free, folder), slabs=slabs or 1)
    parts, filtered = make_parts(engine, documents, DedupConfig().minhash, written=slabs is None)
    committed = deduplicate(engine, parts, filtered, {"components": how})
    chosen = fates(engine, committed["keepers"], "component", "keeper", "exact")
    sizes = np.unique(chosen["component"], return_counts=True)[1]
    edges = total(committed["edges"], "edges")
    print(f"\n{documents:,} documents, {CLUSTERED:.0%} of them in clusters of power-law sizes")
    print(
        f"candidates {len(chosen['doc']):,} in {len(sizes):,} components (largest {sizes.max():,}), {edges:,} edges; "
        f"removed {int((chosen['keeper'] != schemas.NO_DOC).sum()):,}, {int(chosen['exact'].sum()):,} of them copies"
    )
    print(f"decisions {digest_of(chosen)}; on disk after any stage at most {engine.most_bytes / 1e9:,.1f} GB")
    if slabs is not None:
        made = ", ".join(f"{name} {seconds:,.0f} s" for name, seconds in engine.making.items() if seconds)
        print(
            f"band keys of 1/{slabs} of the partitions at a time; signatures made for {made} of CPU, not counted below"
        )
    print()
    print_stages(engine.summaries, documents)
    if HALVES[0] in committed:
        print_rounds(engine.summaries, len(chosen["doc"]))
    print_laws(engine.summaries, documents, len(chosen["doc"]), edges)


def digest_of(columns: dict[str, NDArray[Any]]) -> str:
    """Hex digits that say whether two runs decided the same."""
    hashed = xxhash.xxh3_64()
    for name in sorted(columns):
        hashed.update(np.ascontiguousarray(columns[name]))
    return hashed.hexdigest()


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
            engine = WatchedEngine(LocalStore(run), ComputeConfig(executor="inline"))
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
    parser.add_argument("--rounds", action="store_true", help="join candidates in rounds, however few")
    parser.add_argument("--slabs", type=int, metavar="N", help="write no signatures, and band keys in N shares")
    parser.add_argument("--partition-mb", type=int, default=256, help="of exchanges")
    parser.add_argument("--components", type=int, metavar="DOCUMENTS", help="only the union-find of so many documents")
    parser.add_argument("--hard", action="store_true", help="only components that are hard by themselves")
    arguments = parser.parse_args()
    if arguments.slabs and arguments.executor != "inline":
        parser.error("--slabs counts what making signatures takes in this process: leave --executor inline")
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
            how = "rounds" if arguments.rounds else "auto"
            run_stages(arguments.documents, Path(folder), compute, how, arguments.slabs)


if __name__ == "__main__":
    main()
