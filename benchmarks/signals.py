"""How fast words and signals are measured and rules decided, on one core, and how much memory a huge document takes.

    python -m benchmarks.signals [CORPUS] [--huge-mb 200]

CORPUS is a folder of ``*.jsonl.zst`` files whose rows have a ``text``. Each step is timed three times in processor
time on batches of 32 MB; the median counts.
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.measuring import add_corpus, batches, corpus_files, median_seconds, one_core, read_texts
from tests.support.parts_of_signals import count_repetition, read_tokens
from winnow.text.rules.config import RulesConfig
from winnow.text.rules.rules import evaluate
from winnow.text.signals.counts import MARKS
from winnow.text.signals.scan import scan
from winnow.text.signals.signals import measure
from winnow.text.stop_words import stop_table
from winnow.text.words import read_words


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
    add_corpus(parser)
    parser.add_argument("--huge-mb", type=int, default=0)
    arguments = parser.parse_args()
    one_core()
    texts = [batch for path in corpus_files(arguments.corpus) for batch in batches(read_texts(path))]
    megabytes = sum(batch.nbytes for batch in texts) / 1e6
    documents = sum(len(batch) for batch in texts)
    print(f"{documents:,} documents, {megabytes:,.0f} MB")
    read = {id(batch): read_words(batch, stop_table()) for batch in texts}
    marks = {id(batch): int(scan(batch)[MARKS].sum(dtype=np.int64)) for batch in texts}
    tokens = {id(batch): read_tokens(batch, read[id(batch)], marks[id(batch)]) for batch in texts}
    steps: dict[str, Callable[[pa.Array], object]] = {
        "words": lambda batch: read_words(batch, stop_table()),
        "scan": scan,
        "tokens": lambda batch: read_tokens(batch, read[id(batch)], marks[id(batch)]),
        "repetition": lambda batch: count_repetition(*tokens[id(batch)]),
        "measure": measure,
    }
    for name, step in steps.items():
        print(f"{name:<14} {megabytes / median_seconds(lambda step=step: [step(batch) for batch in texts]):8.0f} MB/s")
    signals = [measure(batch).signals for batch in texts]
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
