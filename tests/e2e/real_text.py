"""A part of the real corpus as an input of its own, and plain Python's view of which documents are alike."""

import io
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
import zstandard

from tests.text.specification import fold, hash_word, words
from winnow.flow.records import RunRecords

MASK = 2**64 - 1
_word_hash = cache(hash_word)


def write_part(shared: Path, folder: Path, sizes: dict[str, float]) -> list[Path]:
    """The first documents of some corpus files, so many bytes of each, as plain JSONL."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, left in sizes.items():
        (path,) = (shared / "corpus").glob(f"{name}*.jsonl.zst")
        written.append(folder / f"{name}.jsonl")
        with zstandard.open(path, "rb") as lines, written[-1].open("wb") as out:
            for line in io.BufferedReader(lines):
                left -= len(line)
                if left < 0:
                    break
                out.write(line)
    return written


def run_settings(inputs: list[Path], run: Path, **dedup) -> dict:
    return {
        "run": str(run),
        "sources": [{"name": path.stem, "path": str(path), "id": "id"} for path in inputs],
        "filter": {"mode": "annotate"},
        "dedup": dedup,
        "shards": {"shard_mb": 16},
        "compute": {"executor": "inline", "unit_mb": 4, "partition_mb": 1},
    }


def texts_and_decisions(finished: RunRecords) -> tuple[dict[int, str], dict[int, dict]]:
    texts: dict[int, str] = {}
    decisions: dict[int, dict] = {}
    for part, decided in zip(finished.parts, finished.of("decide"), strict=True):
        table = pq.read_table(finished.store.path(part.documents["path"]), columns=["doc", "text"])
        texts |= dict(zip(table.column("doc").to_pylist(), table.column("text").to_pylist(), strict=True))
        rows = pq.read_table(finished.store.path(decided.outputs["decisions"].path)).to_pylist()
        decisions |= {row["doc"]: row for row in rows}
    return texts, decisions


def shingles(text: str, ngram: int = 5) -> set[tuple[str, ...]]:
    """The text's runs of words, as words."""
    folded = [fold(word) for word in words(text)]
    return {tuple(folded[i : i + ngram]) for i in range(max(1, len(folded) - ngram + 1))} if folded else set()


def jaccard(a: set, b: set) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


def shingle_hash(run: tuple[str, ...]) -> int:
    """The documented formula of a shingle, in plain Python."""
    h = len(run)
    for word in run:
        h = (h * 0x9E3779B97F4A7C15 + _word_hash(word)) & MASK
    for _ in range(2):
        h = ((h ^ (h >> 32)) * 0xD6E8FEB86659FD93) & MASK
    return h >> 32
