"""Speed of the tokeniser on one core, against tiktoken in the same run, and equality on every document.

    python -m benchmarks.tokenise [CORPUS] [--encoding o200k_base] [--verify] [--long-mb 64]

CORPUS is a folder of ``*.jsonl.zst`` files whose rows have a ``text``. Times are process time. ``cold`` is the first
pass of a new process, ``warm`` the second. ``--verify`` compares all documents with the reference and counts
differences. ``--long-mb`` measures single documents of that size without any ordinary place to split.
"""

import argparse
import base64
import resource
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.measuring import add_corpus, corpus_files, one_core, read_texts
from winnow.tokens.config import TokeniserConfig
from winnow.tokens.tokeniser import Tokeniser


def read(folder: Path) -> dict[str, pa.Array]:
    """One column a file."""
    columns = {file.name.removesuffix(".jsonl.zst"): read_texts(file) for file in corpus_files(folder)}
    return {name: texts for name, texts in columns.items() if len(texts)}


def size_mb(texts: pa.Array) -> float:
    """Megabytes of text."""
    return texts.buffers()[2].size / 1e6


def timed(function, *arguments):
    """Result and process seconds."""
    start = time.process_time()
    result = function(*arguments)
    return result, time.process_time() - start


def long_documents(size: int) -> Iterator[tuple[str, bytes]]:
    """Documents in which a split pattern finds nothing to split, or hardly anything."""
    random = np.random.default_rng(0)
    for name, unit in (
        ("one letter", "a"),
        ("spaces", " "),
        ("line breaks", "\n"),
        ("one Han character", "中"),
        ("punctuation", "="),
        ("digits", "1"),
        ("apostrophes", "'"),
        ("emoji", "😀"),
        ("wide spaces", "\u00a0"),
    ):
        yield name, unit.encode() * (size // len(unit.encode()))
    yield "base64", base64.b64encode(random.bytes(size * 3 // 4))
    yield "random letters", random.integers(97, 123, size, np.uint8).tobytes()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    parser.add_argument("--encoding", default="o200k_base")
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--long-mb", type=int, default=0)
    options = parser.parse_args()
    one_core()
    columns = read(options.corpus)
    encoder, seconds = timed(Tokeniser, TokeniserConfig(encoding=options.encoding))
    _, reference_seconds = timed(lambda: encoder.reference)
    print(f"build {encoder.engine} {seconds:.2f} s, {encoder.reference.name} {reference_seconds:.2f} s")

    print(f"{'file':24}{'MB':>8}{'tokens':>12}{'cold MB/s':>11}{'warm MB/s':>11}{'checked':>9}{'check %':>9}")
    totals = dict.fromkeys(("mb", "cold", "warm", "check"), 0.0)
    cold = {name: timed(encoder.encode, texts)[1] for name, texts in columns.items()}
    for name, texts in columns.items():
        warm = statistics.median(timed(encoder.encode, texts)[1] for _ in range(3))
        result = encoder.encode(texts)
        checked, check = timed(encoder.check, texts, result)
        mb = size_mb(texts)
        for key, value in (("mb", mb), ("cold", cold[name]), ("warm", warm), ("check", check)):
            totals[key] += value
        print(
            f"{name:24}{mb:8.1f}{len(result.ids):12}{mb / cold[name]:11.0f}{mb / warm:11.0f}"
            f"{checked.documents:9}{100 * check / warm:9.1f}  {checked.mismatches or ''}"
        )
    mb = totals["mb"]
    print(
        f"{'all':24}{mb:8.1f}{'':12}{mb / totals['cold']:11.0f}{mb / totals['warm']:11.0f}"
        f"{'':9}{100 * totals['check'] / totals['warm']:9.1f}"
    )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB (corpus included)")

    if options.verify:
        reference = Tokeniser(TokeniserConfig(encoding=options.encoding, engine="tiktoken")).reference
        different = documents = 0
        spent = 0.0
        for name, texts in columns.items():
            result = encoder.encode(texts)
            data = np.frombuffer(texts.buffers()[2], np.uint8)
            bounds = np.frombuffer(texts.buffers()[1], np.int64)
            (ids, offsets), seconds = timed(reference.encode, data, bounds)
            spent += seconds
            for row in range(len(texts)):
                ours = result.ids[result.offsets[row] : result.offsets[row + 1]]
                if not np.array_equal(ours, ids[offsets[row] : offsets[row + 1]]):
                    different += 1
                    print(f"DIFFERENT: {name} row {row}")
            documents += len(texts)
        print(f"{documents} documents, {different} differ from {reference.name}, which ran at {mb / spent:.1f} MB/s")

    if options.long_mb:
        print(f"{'one document':24}{'MB':>8}{'tokens':>12}{'MB/s':>8}{'peak MB':>9}")
        for name, text in long_documents(options.long_mb << 20):
            bounds = pa.py_buffer(np.array([0, len(text)], np.int64))
            texts = pa.LargeStringArray.from_buffers(1, bounds, pa.py_buffer(text))
            result, seconds = timed(encoder.encode, texts)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
            mb = len(text) / 1e6
            print(f"{name:24}{mb:8.1f}{len(result.ids):12}{mb / seconds:8.1f}{peak:9.0f}")


if __name__ == "__main__":
    main()
