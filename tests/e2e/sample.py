"""A small corpus of its own making: real sentences shapes, exact and near-duplicates, several formats, some faults.

Deterministic: the same files for the same arguments.
"""

import gzip
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

SUBJECTS = "The river, A committee, My neighbour, The old library, Every engineer, The second edition, Nobody".split(
    ", "
)
VERBS = "describes, carries, measures, remembers, rebuilds, explains, ignores, collects, translates".split(", ")
OBJECTS = (
    "the long winter, a set of tools, its own history, the price of bread, several maps of the coast, what was said, "
    "the smallest detail, a letter from the harbour, the theory of numbers, an orchard in bloom"
).split(", ")
ENDINGS = "with great care, for many years, because it must, without any doubt, in the end, and that is all".split(", ")


def sentence(rng: random.Random) -> str:
    number = rng.choice(["", "", f" {rng.randint(2, 900)} times"])
    return f"{rng.choice(SUBJECTS)} {rng.choice(VERBS)} {rng.choice(OBJECTS)}{number} {rng.choice(ENDINGS)}."


def article(rng: random.Random, sentences: int) -> str:
    lines, line = [], []
    for n in range(sentences):
        line.append(sentence(rng))
        if n % 4 == 3:
            lines.append(" ".join(line))
            line = []
    return "\n".join([*lines, " ".join(line)]).strip()


def articles(seed: int, count: int) -> list[str]:
    rng = random.Random(seed)
    texts = [article(rng, rng.randint(8, 60)) for _ in range(count)]
    for n in range(0, count, 10):  # a near-duplicate: one word in fifty changed
        words = texts[n].split(" ")
        for at in range(25, len(words), 80):
            words[at] = "otherwise"
        texts.append(" ".join(words))
    texts += texts[1:count:15]  # exact duplicates
    texts += ["", "too short", "“Curly” quotes and\r\nWindows line ends " * 30, "日本語の文章です。" * 40]
    return texts


def write_sample(folder: Path, count: int = 120) -> dict[str, int]:
    """Three sources in four formats; returns how many records each holds, unreadable ones included."""
    folder.mkdir(parents=True, exist_ok=True)
    web, books = articles(1, count), articles(2, count // 2)
    lines = [json.dumps({"url": f"web/{n}", "text": text, "extra": [n, None]}) for n, text in enumerate(web)]
    lines.insert(3, '{"url": "web/broken", "text": "no end')
    lines.insert(9, '{"url": "web/number", "text": 42}')
    lines.insert(12, "")
    half = len(lines) // 2
    (folder / "web-0.jsonl").write_text("\n".join(lines[:half]) + "\n")
    compressed = zstandard.ZstdCompressor().compress(("\n".join(lines[half:]) + "\n").encode())
    (folder / "web-1.jsonl.zst").write_bytes(compressed)
    table = pa.table({"id": [f"book-{n}" for n in range(len(books))], "body": books})
    pq.write_table(table, folder / "books.parquet", row_group_size=20)
    (folder / "notes").mkdir(exist_ok=True)
    for n, text in enumerate(articles(3, 10)[:12]):
        (folder / "notes" / f"{n:02d}.txt.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    return {"web": len(web) + 2, "books": len(books), "notes": 12}


def settings(folder: Path, run: Path, **sections) -> dict:
    """A config over the sample."""
    return {
        "run": str(run),
        "sources": [
            {"name": "web", "path": [f"{folder}/web-0.jsonl", f"{folder}/web-*.zst"], "id": "url"},
            {
                "name": "books",
                "path": f"{folder}/books.parquet",
                "text": "body",
                "id": "id",
                "licence": "CC0-1.0",
            },
            {"name": "notes", "path": f"{folder}/notes"},
        ],
        "filter": {"mode": "annotate"},
        "shards": {"sequence_tokens": 127, "shard_mb": 1, "splits": {"val": 0.1}},
        **sections,
        "compute": {"executor": "inline", "max_unreadable_share": 0.05} | sections.get("compute", {}),
    }
