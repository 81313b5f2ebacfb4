"""How fast words and signals are measured and rules decided, on one core, and how much memory a huge document takes.

    python -m benchmarks.signals FOLDER_OR_FILE [--huge-mb 200]

Reads JSONL (``.jsonl``, ``.jsonl.zst``; the text in the field ``text``). Each step is timed three times in processor
time on batches of 32 MB; the median counts.
"""

import argparse
import io
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import zstandard

from pipeline.text.rules import RulesConfig, evaluate
from pipeline.text.scan import scan
from pipeline.text.scan_repetition import count_repetition
from pipeline.text.signals import measure
from pipeline.text.stop_words import stop_table
from pipeline.text.words import read_words

BATCH_BYTES = 32_000_000


def read_texts(path: Path) -> list[pa.Array]:
    """The texts of all files, in batches."""
    batches, batch, size = [], [], 0
    for file in sorted(path.glob("*.jsonl*")) if path.is_dir() else [path]:
        with file.open("rb") as raw:
            stream = (
                zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
                if file.suffix == ".zst"
                else raw
            )
            for line in io.TextIOWrapper(stream, encoding="utf-8"):
                text = json.loads(line).get("text")
                if text is None:
                    continue
                batch.append(text.encode("utf-8", "replace").decode())
                size += len(text)
                if size >= BATCH_BYTES:
                    batches.append(pa.array(batch, pa.large_string()))
                    batch, size = [], 0
    return [*batches, pa.array(batch, pa.large_string())] if batch else batches


def seconds(step: Callable[[pa.Array], object], batches: list[pa.Array]) -> float:
    """Median of three, processor time."""
    step(batches[0].slice(0, 10))  # compiles
    times = []
    for _ in range(3):
        start = time.process_time()
        for batch in batches:
            step(batch)
        times.append(time.process_time() - start)
    return statistics.median(times)


def huge_document(kind: str, megabytes: int) -> str:
    """Time and memory of one long document."""
    rng = np.random.default_rng(1)
    number = megabytes * 1_000_000 // 7
    separator = "\n" if kind == "lines" else " "
    if kind == "one word":
        text = "aaaaaa " * number
    elif kind == "zipf words":
        text = " ".join(f"w{n % 1_000_000:05d}" for n in rng.zipf(1.3, number).tolist())
    else:
        text = separator.join(f"{n:06d}" for n in rng.integers(0, 1_000_000, number).tolist())
    measure(pa.array(["a b c d e f"], pa.large_string()))
    column = pa.array([text], pa.large_string())
    size = len(text) / 1e6
    before = _resident_peak(reset=True)
    start = time.process_time()
    measure(column)
    took = time.process_time() - start
    grew = _resident_peak() - before
    return f"{kind:<14} {size / took:8.0f} MB/s, one document of {size:.0f} MB, memory {grew / size:.1f} times that"


def _resident_peak(reset: bool = False) -> float:
    """Megabytes; ``reset`` starts the peak anew at what is resident now (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--huge-mb", type=int, default=0)
    arguments = parser.parse_args()
    batches = read_texts(arguments.path)
    megabytes = sum(batch.nbytes for batch in batches) / 1e6
    documents = sum(len(batch) for batch in batches)
    print(f"{documents:,} documents, {megabytes:,.0f} MB")
    words = {id(batch): read_words(batch, stop_table()) for batch in batches}
    words[0] = read_words(batches[0].slice(0, 10), stop_table())

    def repetition(batch: pa.Array) -> object:
        found = words.get(id(batch), words[0])
        return count_repetition(found.words, found.lengths)

    steps: dict[str, Callable[[pa.Array], object]] = {
        "words": lambda batch: read_words(batch, stop_table()),
        "scan": scan,
        "repetition": repetition,
        "measure": measure,
    }
    for name, step in steps.items():
        print(f"{name:<14} {megabytes / seconds(step, batches):8.0f} MB/s")
    signals = [measure(batch).signals for batch in batches]
    start = time.process_time()
    for table in signals:
        evaluate(table, pa.array(["en"] * table.num_rows), RulesConfig())
    took = time.process_time() - start
    print(f"{'rules':<14} {documents / took / 1e6:8.2f} million documents/s")
    if arguments.huge_mb:
        fresh = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, fresh, max_tasks_per_child=1) as pool:
            for kind in ("zipf words", "random words", "one word", "lines"):
                print(pool.submit(huge_document, kind, arguments.huge_mb).result())


if __name__ == "__main__":
    main()
