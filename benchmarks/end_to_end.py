"""A whole run, timed from outside: wall and marginal MB/s a core, where the time goes, and how it grows.

    python -m benchmarks.end_to_end [CORPUS] [--scales 1 3] [--workers 2] [--executor ray] [--runs 1] [--work FOLDER]

Annotate mode, so that every document goes all the way. Copies of the corpus have the words of each four in
another order: the same bytes, words and tokens to read, but other 5-grams, so that dedup keeps them. The
marginal rate is (bytes of the largest scale - bytes of the smallest) / (its seconds - theirs): start-up apart.
"""

import argparse
import itertools
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import orjson
import yaml
import zstandard

from benchmarks.yardsticks import measured, told
from winnow.runs.state import load_run

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "corpus"
ORDERS = {size: list(itertools.permutations(range(size))) for size in (4, 5)}
WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]{2,}")
KERNELS = ("normalise", "language", "signals", "minhash", "exact hash", "tokenise and check", "order", "pack")
STORAGE = ("read", "write", "write_parquet")


def distinct(text: str, copy: int) -> str:
    """The same words in another order: groups of four words in permutation ``copy`` of theirs (from the 24th on, groups
    of five), characters of Han and kana too. Two copies share hardly any five words in a row."""
    text = WITHOUT_SPACES.sub(lambda run: "".join(permuted(list(run[0]), copy)), text)
    return " ".join(permuted(text.split(" "), copy))


def permuted(items: list[str], copy: int) -> list[str]:
    """Each whole group of four items (or five) in the order that is the copy's; what is left over stays."""
    size = 4 if copy < len(ORDERS[4]) else 5
    order = ORDERS[size][copy if size == 4 else copy - len(ORDERS[4]) + 1]
    whole = len(items) // size * size
    out = list(items)
    for place, taken in enumerate(order):
        out[place:whole:size] = items[taken:whole:size]
    return out


def prepare(corpus: Path, folder: Path, copies: int) -> None:
    """Write copies 1 .. copies - 1 beside links to the originals."""
    for copy in range(copies):
        target = folder / f"copy-{copy}"
        if (target / "done").exists():
            continue
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for path in sorted(corpus.glob("[01]*.jsonl.zst")):
            if copy == 0:
                (target / path.name).symlink_to(path)
                continue
            lines = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().split(b"\n")
            records = [orjson.loads(line) for line in lines if line]
            for record in records:
                record |= {"id": f"{copy}:{record['id']}", "text": distinct(record["text"], copy)}
            data = b"".join(orjson.dumps(record) + b"\n" for record in records)
            (target / path.name).write_bytes(zstandard.ZstdCompressor(level=3).compress(data))
        (target / "done").touch()


def run_once(work: Path, scale: int, workers: int, executor: str = "ray") -> dict:
    """One fresh run in a process of its own; what it and its records say."""
    run = work / f"run-{scale}"
    shutil.rmtree(run, ignore_errors=True)
    os.sync()  # what the last run left to write does not count for this one
    config = {
        "run": str(run),
        "sources": [{"name": "corpus", "path": [f"{work}/copy-{n}/*.zst" for n in range(scale)], "id": "id"}],
        "filter": {"mode": "annotate"},
        "compute": {"executor": executor, "workers": workers},
    }
    (work / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "jobs", "run", str(work / "config.yaml")]
    started = time.perf_counter()
    finished = subprocess.run(["/usr/bin/time", "-f", "%M", *command], capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if finished.returncode != 0:
        sys.exit(f"the run failed:\n{finished.stderr}")
    observed = json.loads((run / "observed.json").read_text())
    parts: dict[str, float] = defaultdict(float)
    worker_seconds = 0.0
    state = json.loads((run / "state.json").read_text())
    for paths in state["records"].values():
        for path in paths:
            metrics = json.loads((run / path).read_text())["metrics"]
            worker_seconds += metrics["seconds"]
            for name, value in metrics.items():
                if name.startswith("seconds."):
                    parts[name.removeprefix("seconds.")] += value
    manifest = json.loads((run / state["shards"] / "manifest.json").read_text())
    return {
        "seconds": seconds,
        "megabytes": load_run(str(run)).total("measure", "text_bytes") / 1e6,
        "documents": manifest["books"]["records"],
        "kept": manifest["books"]["outcomes"]["kept"],
        "start": observed["start_seconds"],
        "stages": observed["stages"],
        "parts": dict(parts),
        "worker_seconds": worker_seconds,
        "driver_mb": int(finished.stderr.strip().splitlines()[-1]) * 1024 / 1e6,
        "worker_mb": max(stage["peak_memory_mb"] for stage in observed["stages"]),
        "written_mb": sum(stage["output_bytes"] for stage in observed["stages"]) / 1e6,
    }


def options_with_copies(description: str | None) -> argparse.Namespace:
    """What the command line asks for, with the copies of the corpus written that its scales need."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=SHARED)
    parser.add_argument("--scales", nargs="+", type=int, default=[1, 3])
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--executor", default="ray", choices=("auto", "ray", "processes", "inline"))
    parser.add_argument("--runs", type=int, default=1, help="runs a scale; the median of the wall time counts")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "winnow-end-to-end")
    options = parser.parse_args()
    if not options.corpus.is_dir():
        sys.exit(f"{options.corpus}: no such folder; name a folder of JSONL.zst files with fields id and text")
    prepare(options.corpus.resolve(), options.work, max(options.scales))
    return options


def main() -> None:
    """Prepare copies, run every scale, print the tables."""
    options = options_with_copies(__doc__)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {options.workers} workers")
    # Compiles kernels, fills the page cache, and touches the memory that a virtual machine's host gives out slowly.
    run_once(options.work, max(options.scales), options.workers, options.executor)
    report(options.scales, [median_run(options, scale) for scale in options.scales], options.workers)
    print(f"minutes later, {told(measured(options.corpus, options.workers, options.runs))}")


def median_run(options: argparse.Namespace, scale: int) -> dict:
    """The run in the middle of those that were asked for, with the median of their wall seconds."""
    runs = (run_once(options.work, scale, options.workers, options.executor) for _ in range(options.runs))
    results = sorted(runs, key=lambda result: result["seconds"])
    median = statistics.median(result["seconds"] for result in results)
    return {**results[len(results) // 2], "seconds": median}


def report(scales: list[int], results: list[dict], workers: int) -> None:
    """Tables: growth, stages, parts, and the two rates."""
    names = [f"{scale}x" for scale in scales]

    def line(what: str, values: list[str]) -> None:
        print(f"{what:<34}" + "".join(f"{value:>14}" for value in values))

    line("", names)
    line("MB of text", [f"{r['megabytes']:,.1f}" for r in results])
    line("documents", [f"{r['documents']:,}" for r in results])
    line("kept", [f"{r['kept']:,}" for r in results])
    line("seconds, whole process", [f"{r['seconds']:.1f}" for r in results])
    line("  of them waiting for Ray", [f"{r['start']:.1f}" for r in results])
    line("MB/s a core, wall", [f"{r['megabytes'] / r['seconds'] / workers:.1f}" for r in results])
    line("MB/s a core, seconds of workers", [f"{r['megabytes'] / r['worker_seconds']:.1f}" for r in results])
    line("peak MB of a worker", [f"{r['worker_mb']:,.0f}" for r in results])
    line("peak MB of the driver", [f"{r['driver_mb']:,.0f}" for r in results])
    line("MB written", [f"{r['written_mb']:,.0f}" for r in results])
    print()
    line("stage: wall seconds", names)
    for index, stage in enumerate(results[0]["stages"]):
        if stage["units"]:
            line(f"  {stage['name']}", [f"{r['stages'][index]['seconds']:.2f}" for r in results])
    print()
    line("part: seconds of all workers", names)
    for name in sorted(results[0]["parts"]):
        line(f"  {name}", [f"{r['parts'].get(name, 0):.2f}" for r in results])
    told = [sum(r["parts"].get(name, 0) for name in (*KERNELS, *STORAGE)) for r in results]
    line("  neither kernel nor I/O", [f"{r['worker_seconds'] - t:.2f}" for r, t in zip(results, told, strict=True)])
    line(
        "  share of the workers' seconds",
        [f"{1 - t / r['worker_seconds']:.1%}" for r, t in zip(results, told, strict=True)],
    )
    if len(results) > 1:
        first, last = results[0], results[-1]
        rate = (last["megabytes"] - first["megabytes"]) / (last["seconds"] - first["seconds"]) / workers
        print(f"\nmarginal: {rate:.1f} MB/s a core ({names[0]} to {names[-1]}); wall at {names[0]}: ", end="")
        print(f"{first['megabytes'] / first['seconds'] / workers:.1f} MB/s a core")


if __name__ == "__main__":
    main()
