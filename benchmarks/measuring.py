"""What every benchmark shares: the corpus, the clock, the machine. Imported by the scripts beside it."""

import argparse
import itertools
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute
import zstandard
from numpy.typing import NDArray

CORPUS = Path(__file__).resolve().parents[1].parent / "shared" / "corpus"
"""Where the corpus stands unless another folder is named."""

BATCH_BYTES = 32_000_000
"""Text that a stage handles at a time."""


def add_corpus(parser: argparse.ArgumentParser) -> None:
    """The argument CORPUS, a folder of ``*.jsonl.zst`` files whose rows have a ``text``."""
    parser.add_argument("corpus", type=Path, nargs="?", default=CORPUS, help=f"folder of *.jsonl.zst, or {CORPUS}")


def corpus_files(folder: Path, number: int | None = None) -> list[Path]:
    """The files of a corpus; with ``number``, so many of them, evenly spread.

    Raises:
        SystemExit: there are none.
    """
    # raw-encodings.b64 holds bytes for the tests of decoders, not text
    paths = [path for path in sorted(folder.glob("*.jsonl.zst")) if ".b64." not in path.name]
    if not paths:
        sys.exit(f"{folder} holds no *.jsonl.zst files; name a folder that does, rows with a field `text`")
    step = len(paths) / min(number or len(paths), len(paths))
    return [paths[int(place * step)] for place in range(round(len(paths) / step))]


def read_records(path: Path) -> Iterator[dict]:
    """The rows of one file."""
    with path.open("rb") as file:
        data = zstandard.ZstdDecompressor(max_window_size=1 << 31).stream_reader(file, read_across_frames=True).read()
    return (orjson.loads(line) for line in data.split(b"\n") if line)


def read_texts(path: Path) -> pa.LargeStringArray:
    """The texts of one file."""
    return pa.array(
        [record["text"] for record in read_records(path) if record.get("text") is not None], pa.large_string()
    )


def batches(texts: pa.LargeStringArray, batch_bytes: int = BATCH_BYTES) -> list[pa.LargeStringArray]:
    """The texts in batches of about this size, as stages see them."""
    pieces = max(1, round(text_bytes(texts) / batch_bytes))
    bounds = [len(texts) * piece // pieces for piece in range(pieces + 1)]
    return [
        pa.concat_arrays([texts.slice(first, last - first)])
        for first, last in itertools.pairwise(bounds)
        if last > first
    ]


def text_bytes(texts: pa.LargeStringArray) -> int:
    """UTF-8 bytes of all texts."""
    if len(texts) == 0:
        return 0
    bounds = pa.compute.binary_length(texts)
    return int(pa.compute.sum(bounds).as_py() or 0)


def even_rows(texts: pa.LargeStringArray, sample_bytes: float) -> NDArray[np.int64]:
    """Every k-th row, so that there are about this many bytes."""
    step = max(1, round(text_bytes(texts) / sample_bytes))
    return np.arange(0, len(texts), step)


def even_sample(texts: pa.LargeStringArray, sample_bytes: float) -> pa.LargeStringArray:
    """The texts of ``even_rows``."""
    return texts.take(pa.array(even_rows(texts, sample_bytes)))


def median_seconds(work: Callable[[], object], runs: int = 3, warm_up: bool = True) -> float:
    """Median process time of ``runs`` calls, after one that is not counted."""
    if warm_up:
        work()
    taken = []
    for _ in range(runs):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def machine() -> str:
    """One line: processor, cores, Python."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def one_core() -> None:
    """One core means one core: Arrow's own threads are switched off, and the machine is printed."""
    pa.set_cpu_count(1)
    print(f"{machine()}; processor time of one core")
