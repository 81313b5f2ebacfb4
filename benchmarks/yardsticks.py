"""What plain tiktoken and plain ftfy make of the same text: on one core while the others rest, and on all at once.

    python -m benchmarks.yardsticks [CORPUS] [--workers 2] [--runs 3]

Cores of a rented machine share caches, memory and often a core's own parts: two busy ones are slower each than one. A
run keeps all of them busy, so its speed a core is to be seen beside that of yardsticks that do the same.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ftfy
import pyarrow as pa
import tiktoken

from benchmarks.measuring import add_corpus, corpus_files, even_sample, machine, read_texts, text_bytes
from winnow.tokens.config import TokeniserConfig
from winnow.tokens.vocabulary import load_vocabulary

SAMPLE_BYTES = {"tiktoken": 24e6, "ftfy": 4e6}


def reference_encoding() -> tiktoken.Encoding:
    """tiktoken's own, with the vocabulary that a run takes by default."""
    vocabulary = load_vocabulary(TokeniserConfig())
    assert vocabulary.pattern is not None
    regex = vocabulary.pattern.regex
    return tiktoken.Encoding("default", pat_str=regex, mergeable_ranks=vocabulary.ranks, special_tokens={})


def work_of(name: str) -> Callable[[str], object]:
    """What a yardstick does with one text."""
    return reference_encoding().encode_ordinary if name == "tiktoken" else ftfy.fix_text


def measured(corpus: Path, workers: int, runs: int) -> dict[tuple[str, int], float]:
    """MB of text a second and core, wall time, by yardstick and number of processes at work; medians."""
    texts = pa.concat_arrays([even_sample(read_texts(path), 2e6) for path in corpus_files(corpus)])
    found = {}
    for name, size in SAMPLE_BYTES.items():
        sample = even_sample(texts, size)
        for processes in sorted({1, workers}):
            rates = [_at_once(name, sample, processes) for _ in range(runs)]
            found[name, processes] = statistics.median(rates)
    return found


def _at_once(name: str, sample: pa.LargeStringArray, processes: int) -> float:
    """MB a second of each of so many processes that have the same texts, from the moment when all are ready."""
    context = multiprocessing.get_context("spawn")
    ready, seconds = context.Barrier(processes), context.Queue()
    started = [context.Process(target=_timed, args=(name, sample, ready, seconds)) for _ in range(processes)]
    for process in started:
        process.start()
    taken = [seconds.get() for _ in started]
    for process in started:
        process.join()
    return text_bytes(sample) / 1e6 / statistics.mean(taken)


def _timed(name: str, sample: pa.LargeStringArray, ready: Any, seconds: Any) -> None:
    texts, work = sample.to_pylist(), work_of(name)
    work("A first text loads what is loaded late.")
    ready.wait()
    began = time.perf_counter()
    for text in texts:
        work(text)
    seconds.put(time.perf_counter() - began)


def told(found: dict[tuple[str, int], float]) -> str:
    """One line for people."""
    return "; ".join(
        f"{name} {rate:.1f} MB/s a core with {processes} at work" for (name, processes), rate in found.items()
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(machine())
    print(told(measured(options.corpus, options.workers, options.runs)))


if __name__ == "__main__":
    main()
