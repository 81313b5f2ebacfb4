"""Every kernel beside its reference, on one core, from one run.

    python -m benchmarks.kernels [CORPUS] [--runs 3] [--files N]

CORPUS is a folder of ``*.jsonl.zst`` files whose rows have a ``text``; ``--files`` takes so many of them. Rates are
megabytes (10^6 bytes of UTF-8 text, or of token ids where the row says so) a second of processor time, the median of
``--runs`` after one warm call. References are slow: each gets an even sample of the documents, and its rate is that of
the sample. What must be equal is compared in the tests, on every document.
"""

import argparse
import itertools
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import BinaryIO

import datasketch
import ftfy
import numpy as np
import orjson
import pyarrow as pa
import zstandard
from numpy.typing import NDArray
from py3langid import langid

from benchmarks.measuring import (
    BATCH_BYTES,
    add_corpus,
    batches,
    corpus_files,
    even_sample,
    median_seconds,
    one_core,
    read_texts,
    text_bytes,
)
from benchmarks.shuffling import Documents, Shuffling
from tests.support.specification import signals
from winnow.dedup.minhash import signatures
from winnow.dedup.minhash_config import MinHashConfig
from winnow.dedup.shingles import shingle_hashes
from winnow.numeric.radix import sort_pairs
from winnow.shards.formats.formats import FORMATS
from winnow.shards.formats.shard_format import ShardId
from winnow.sources.read import format_of, read_slice
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.stages.shards.shard_files import write_format
from winnow.stages.shards.shard_rows import read_rows
from winnow.text.characters import TERMINAL_PUNCTUATION
from winnow.text.language.config import LanguageConfig
from winnow.text.language.detect import LanguageIdentifier
from winnow.text.lines.config import LinesConfig
from winnow.text.lines.counts import LineCounter
from winnow.text.lines.removal import KnownLines, LineRemover
from winnow.text.normalise.config import NormaliseConfig
from winnow.text.normalise.normalise import Normaliser
from winnow.text.signals.signals import measure
from winnow.text.words import hash_words
from winnow.tokens.config import TokeniserConfig
from winnow.tokens.tokeniser import Tokeniser

Batches = list[pa.LargeStringArray]


class Table:
    """Prints a row as soon as it is measured."""

    def __init__(self, runs: int) -> None:
        self.runs = runs
        head = ("kernel", "MB", "MB/s", "must", "reference", "MB/s", "ratio")
        print(f"\n{head[0]:34}{head[1]:>7}{head[2]:>7}{head[3]:>6}  {head[4]:32}{head[5]:>7}{head[6]:>7}")

    def row(
        self, name: str, size: float, seconds: float, must: int, reference: str, rate: float, remark: str = ""
    ) -> None:
        """One kernel: bytes, seconds, the rate it must reach, the reference and its rate."""
        ours = size / 1e6 / seconds
        ratio = f"{ours / rate:.{0 if ours > 10 * rate else 1}f}x"
        print(
            f"{name:34}{size / 1e6:7.0f}{ours:7.0f}{must:6}  {reference:32}{rate:7.1f}{ratio:>7}"
            f"{'' if ours >= must else '  BELOW'}{remark}",
            flush=True,
        )

    def seconds(self, work: Callable[[], object]) -> float:
        """Median processor seconds of a warm call."""
        return median_seconds(work, self.runs)


def rate_of(work: Callable[[], object], size: float) -> float:
    """MB/s of a slow reference: one call."""
    start = time.process_time()
    work()
    return size / 1e6 / (time.process_time() - start)


def total_bytes(texts: Batches) -> int:
    """UTF-8 bytes of all batches."""
    return sum(map(text_bytes, texts))


def sample(texts: Batches, size: float) -> tuple[list[str], int]:
    """An even sample of about ``size`` bytes, and how many it has."""
    share = size / total_bytes(texts)
    chosen = [even_sample(batch, text_bytes(batch) * share) for batch in texts]
    return [text for batch in chosen for text in batch.to_pylist()], total_bytes(chosen)


def normalise(table: Table, raw: Batches) -> Batches:
    """Clean prose and the whole corpus; returns the texts as normalised."""
    normaliser = Normaliser(NormaliseConfig())
    normalised = [normaliser(batch).texts for batch in raw]
    same = [pa.compute.equal(before, after) for before, after in zip(raw, normalised, strict=True)]
    clean = [batch.filter(unchanged) for batch, unchanged in zip(raw, same, strict=True)]
    clean = [batch for batch in clean if text_bytes(batch)]
    for name, texts, must in (("normalise, clean prose", clean, 300), ("normalise, whole corpus", raw, 100)):
        some, size = sample(texts, 4e6)
        rate = rate_of(lambda some=some: [ftfy.fix_text(text) for text in some], size)
        seconds = table.seconds(lambda texts=texts: [normaliser(batch) for batch in texts])
        table.row(name, total_bytes(texts), seconds, must, "ftfy", rate)
    return normalised


def words_and_signals(table: Table, texts: Batches) -> None:
    """Every count of all four rule sets."""
    spans = [span.partition("-") for span in TERMINAL_PUNCTUATION.split()]
    terminal = {chr(c) for first, _, last in spans for c in range(int(first, 16), int(last or first, 16) + 1)}
    some, size = sample(texts, 1e6)
    rate = rate_of(lambda: [signals(text, terminal) for text in some], size)
    seconds = table.seconds(lambda: [measure(batch) for batch in texts])
    table.row("words and signals, all rules", total_bytes(texts), seconds, 100, "plain Python statement", rate)


def boilerplate_lines(table: Table, texts: Batches) -> None:
    """Lines counted over all documents and sorted by key; the frequent ones removed."""
    config = LinesConfig()

    def count() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        counter = LineCounter(config)
        for batch in texts:
            counter.add(batch)
        return sort_pairs(*counter.take(), False)

    def count_plainly() -> Counter[str]:
        counts: Counter[str] = Counter()
        for text in some:
            counts.update({line for line in map(str.strip, text.split("\n")) if len(line) >= config.min_characters})
        return counts

    def remove_plainly() -> list[str]:
        return ["\n".join([line for line in text.split("\n") if line.strip() not in known]) for text in some]

    some, size = sample(texts, 50e6)
    rate = rate_of(count_plainly, size)
    table.row("lines, counted and sorted", total_bytes(texts), table.seconds(count), 300, "Counter of sets", rate)
    keys, documents = count()
    remover = LineRemover(config, KnownLines(keys[documents > config.max_documents]), keys[:0])
    known = {line for line, number in count_plainly().items() if number > config.max_documents}
    rate = rate_of(remove_plainly, size)
    seconds = table.seconds(lambda: [remover(batch) for batch in texts])
    table.row("lines, boilerplate removed", total_bytes(texts), seconds, 300, "split, strip, join", rate)


def language(table: Table, texts: Batches) -> None:
    """Labels of documents, which are looked at as far as their first 2,000 characters."""
    config = LanguageConfig()
    identifier = LanguageIdentifier(config)
    reference = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE)
    some, size = sample(texts, 8e6)
    start = time.process_time()
    for text in some:
        reference.classify(text[: config.characters])
    spent = time.process_time() - start
    seconds = table.seconds(lambda: [identifier(batch) for batch in texts])
    documents = sum(map(len, texts))
    remark = f"   {documents / seconds:,.0f} documents/s, py3langid {len(some) / spent:,.0f}"
    table.row("language", total_bytes(texts), seconds, 200, "py3langid", size / 1e6 / spent, remark)


def minhash(table: Table, texts: Batches) -> None:
    """Signatures of 256 permutations, from text; the reference is given the shingle hashes."""
    config = MinHashConfig()
    some, size = sample(texts, 4e6)
    shingles, starts = shingle_hashes(*hash_words(pa.array(some, pa.large_string())), config.ngram)
    given = [shingles[first:last].tolist() for first, last in itertools.pairwise(starts)]
    rate = rate_of(lambda: datasketch.MinHash.bulk(given, num_perm=config.num_perm, hashfunc=int), size)
    seconds = table.seconds(lambda: [signatures(*hash_words(batch), config) for batch in texts])
    name = f"MinHash {config.num_perm}, {config.ngram}-grams, from text"
    table.row(name, total_bytes(texts), seconds, 200, "datasketch, given the shingles", rate)


def _encode_cold(texts: Batches) -> float:
    tokeniser = Tokeniser(TokeniserConfig())
    start = time.process_time()
    for batch in texts:
        tokeniser.encode(batch)
    return time.process_time() - start


def tokenise(table: Table, texts: Batches) -> list[Documents]:
    """The first pass of a new process, and a later one; returns the ids, batch by batch."""
    some, size = sample(texts, 8e6)
    reference = Tokeniser(TokeniserConfig()).reference
    column = pa.array(some, pa.large_string())
    data, bounds = np.frombuffer(column.buffers()[2], np.uint8), np.frombuffer(column.buffers()[1], np.int64)
    rate = rate_of(lambda: reference.encode(data, bounds), size)
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, fresh, max_tasks_per_child=1) as pool:
        cold = statistics.median(pool.submit(_encode_cold, texts).result() for _ in range(table.runs))
    tokeniser = Tokeniser(TokeniserConfig())
    encoded = [tokeniser.encode(batch) for batch in texts]
    table.row("tokenise o200k, cold", total_bytes(texts), cold, 100, reference.name, rate)
    warm = table.seconds(lambda: [tokeniser.encode(batch) for batch in texts])
    table.row("tokenise o200k, warm", total_bytes(texts), warm, 100, reference.name, rate)
    return [(batch.ids, batch.offsets) for batch in encoded]


def _open(path: str) -> BinaryIO:
    return Path(path).open("rb")


def _read(paths: list[Path], source: SourceConfig) -> int:
    size = 0
    for number, path in enumerate(paths):
        kind = format_of(str(path), source)
        whole = FileSlice(path=str(path), file=number, source=source.name, format=kind, size=path.stat().st_size)
        for batch in read_slice(whole, source, _open, BATCH_BYTES):
            size += text_bytes(batch.texts)
    return size


def read(table: Table, paths: list[Path]) -> None:
    """Compressed JSONL to Arrow text, beside orjson on bytes that are decompressed already."""
    source = SourceConfig(name="benchmark", path="-", id="id")
    lines = [
        line
        for path in paths
        for line in zstandard.ZstdDecompressor(max_window_size=1 << 31)
        .stream_reader(path.read_bytes(), read_across_frames=True)
        .read()
        .split(b"\n")
        if line
    ]
    size = sum(len(orjson.loads(line)["text"].encode("utf-8", "replace")) for line in lines)

    def parse() -> None:
        for line in lines:
            orjson.loads(line)

    rate = size / 1e6 / table.seconds(parse)
    table.row("JSONL.zst to Arrow", size, table.seconds(lambda: _read(paths, source)), 150, "orjson alone", rate)


def exchange(table: Table, parts: list[Documents]) -> None:
    """Shuffle, pack and write what was tokenised, beside a plain sort of it all in memory; both must agree."""
    with tempfile.TemporaryDirectory() as folder:
        shuffling = Shuffling(Path(folder), parts)
        size = shuffling.token_bytes
        plain = shuffling.plain_sort()
        rate = size / 1e6 / table.seconds(shuffling.plain_sort)
        reference = "plain sort in memory"
        table.row("exchange write, of tokens", size, table.seconds(shuffling.shuffle), 300, reference, rate)
        units = shuffling.shard_units()
        spaces = [shuffling.workspace(shuffling.sharding, unit) for unit in units]
        packed = [read_rows(space, unit.inputs) for space, unit in zip(spaces, units, strict=True)]
        read_back = np.concatenate([rows.rows.reshape(-1) for rows in packed])
        if not np.array_equal(read_back[: len(plain)], plain):
            sys.exit("the shards differ from a plain sort in memory")
        del read_back

        def pack() -> None:
            for space, unit in zip(spaces, units, strict=True):
                read_rows(space, unit.inputs)

        def write(file_format: str) -> None:
            for space, unit, rows in zip(spaces, units, packed, strict=True):
                write_format(space.store, file_format, ShardId(*unit.inputs["place"]), rows, space.settings)

        table.row("exchange read + pack, of tokens", size, table.seconds(pack), 300, reference, rate)
        for name in FORMATS:
            seconds = table.seconds(lambda name=name: write(name))
            table.row(f"{name} shards, of tokens", size, seconds, 300, reference, rate)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--files", type=int, help="number of files to take, evenly spread")
    arguments = parser.parse_args()
    one_core()
    paths = corpus_files(arguments.corpus, arguments.files)
    raw = [batch for path in paths for batch in batches(read_texts(path))]
    table = Table(arguments.runs)
    read(table, paths)
    texts = normalise(table, raw)
    words_and_signals(table, texts)
    boilerplate_lines(table, texts)
    language(table, texts)
    minhash(table, texts)
    exchange(table, tokenise(table, texts))


if __name__ == "__main__":
    main()
