"""Speed of text normalisation, one core, against ftfy itself in the same run.

    python -m benchmarks.normalise [CORPUS] [--verify]

CORPUS is a folder of ``*.jsonl.zst`` files whose rows have a ``text``. The last row of the table takes the
documents that do not change. ``--verify`` compares every document with ``ftfy.fix_text`` (two minutes for
400 MB) and ends with exit code 1 if one differs.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import ftfy
import pyarrow as pa

from benchmarks.measuring import add_corpus, corpus_files, even_sample, one_core, read_texts
from winnow.text.normalise.config import NormaliseConfig
from winnow.text.normalise.normalise import NormalisedTexts, Normaliser

REPEATS = 5
REFERENCE_BYTES = 3_000_000
"""ftfy is timed on this much of a file, evenly spread; it is hundreds of times slower."""


def timed(work: Callable[[], NormalisedTexts]) -> tuple[float, NormalisedTexts]:
    """Median processor seconds, and the result."""
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), result


def ftfy_rate(texts: pa.LargeStringArray) -> float:
    """MB/s of ``ftfy.fix_text`` on an even sample."""
    sample = even_sample(texts, REFERENCE_BYTES).to_pylist()
    start = time.process_time()
    for text in sample:
        ftfy.fix_text(text)
    return sum(len(text.encode()) for text in sample) / 1e6 / (time.process_time() - start)


def main() -> int:
    """Print the table; 1 if a document differs from ftfy's result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    parser.add_argument("--verify", action="store_true")
    arguments = parser.parse_args()
    paths = corpus_files(arguments.corpus)
    one_core()
    start = time.perf_counter()
    normaliser = Normaliser(NormaliseConfig(fix_character_width=True, uncurl_quotes=True))  # as ftfy itself
    built = time.perf_counter()
    normaliser(pa.array(["“warm”\r\n"], pa.large_string()))
    print(f"tables {built - start:.2f} s, compilation or its cache {time.perf_counter() - built:.2f} s\n")
    print(f"{'file':32} {'MB':>6} {'MB/s':>6} {'ftfy':>5} {'by ftfy':>8} {'substituted':>11} {'differ':>6}")

    megabytes = seconds = reference_seconds = 0.0
    by_ftfy = substituted = differ = 0
    clean: list[str] = []
    for path in paths:
        texts = read_texts(path)
        size = sum(map(len, map(str.encode, texts.to_pylist()))) / 1e6
        file_seconds, result = timed(lambda texts=texts: normaliser(texts))
        rate = ftfy_rate(texts)
        before, after = texts.to_pylist(), result.texts.to_pylist()
        clean += [text for text, other in zip(before, after, strict=True) if text == other]
        wrong = ""
        if arguments.verify:
            wrong = sum(ftfy.fix_text(text) != other for text, other in zip(before, after, strict=True))
            differ += wrong
        print(
            f"{path.name:32} {size:6.1f} {size / file_seconds:6.0f} {rate:5.1f} "
            f"{result.ftfy_bytes / size / 1e6:8.2%} {result.substituted_bytes / size / 1e6:11.2%} {wrong:>6}",
            flush=True,
        )
        megabytes += size
        seconds += file_seconds
        reference_seconds += size / rate
        by_ftfy += result.ftfy_bytes
        substituted += result.substituted_bytes
    print(
        f"{'whole corpus':32} {megabytes:6.1f} {megabytes / seconds:6.0f} "
        f"{megabytes / reference_seconds:5.1f} {by_ftfy / megabytes / 1e6:8.2%} "
        f"{substituted / megabytes / 1e6:11.2%} {differ if arguments.verify else '':>6}"
    )
    texts = pa.array(clean, pa.large_string())
    size = sum(map(len, map(str.encode, clean))) / 1e6
    clean_seconds, _ = timed(lambda: normaliser(texts))
    print(f"{'documents that do not change':32} {size:6.1f} {size / clean_seconds:6.0f} {ftfy_rate(texts):5.1f}")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
