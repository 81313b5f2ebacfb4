"""Small runs: the same text by each executor, in turn; wall and processor time of the command and its workers.

    python -m benchmarks.first_second [CORPUS] [--every 8] [--runs 3] [--executors inline processes ray]

Kernels are compiled before (`winnow warm`). On a machine that others use, compare processor times.
"""

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson
import yaml
import zstandard

from benchmarks.end_to_end import SHARED


def write_sample(corpus: Path, folder: Path, every: int) -> float:
    """Every n-th document of each file; returns MB of text."""
    text_bytes = 0
    for path in sorted(corpus.glob("[01]*.jsonl.zst")):
        lines = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().split(b"\n")
        kept = [line for line in lines[::every] if line]
        text_bytes += sum(len(orjson.loads(line)["text"].encode()) for line in kept)
        (folder / path.name.removesuffix(".zst")).write_bytes(b"\n".join(kept) + b"\n")
    return text_bytes / 1e6


def timed(folder: Path, executor: str) -> tuple[float, float]:
    """Wall and processor seconds of one fresh run."""
    run = folder / f"run-{executor}"
    shutil.rmtree(run, ignore_errors=True)
    config = {
        "run": str(run),
        "sources": [{"name": "corpus", "path": f"{folder}/*.jsonl", "id": "id"}],
        "filter": {"mode": "annotate"},
        "compute": {"executor": executor},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    line = [sys.executable, "-m", "jobs", "run", str(folder / "config.yaml")]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    finished = subprocess.run(line, capture_output=True, text=True)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if finished.returncode != 0:
        sys.exit(f"the run failed:\n{finished.stderr}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Medians of runs in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=SHARED)
    parser.add_argument("--every", type=int, default=8)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--executors", nargs="+", default=["inline", "processes", "ray"])
    options = parser.parse_args()
    subprocess.run([sys.executable, "-m", "jobs", "warm"], check=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{write_sample(options.corpus, folder, options.every):.1f} MB of text")
        found: dict[str, list[tuple[float, float]]] = {executor: [] for executor in options.executors}
        for _ in range(options.runs):
            for executor in options.executors:
                found[executor].append(timed(folder, executor))
    for executor, times in found.items():
        wall, processor = (statistics.median(values) for values in zip(*times, strict=True))
        print(f"{executor:10} {wall:6.1f} s wall {processor:6.1f} s processor time (Ray's own processes apart)")


if __name__ == "__main__":
    main()
