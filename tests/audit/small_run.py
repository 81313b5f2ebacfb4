"""A small run whose duplicates are of every degree, and plain Python's view of all its pairs."""

import json
import random
from itertools import combinations
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.e2e.real_text import jaccard, shingles, texts_and_decisions
from tests.e2e.sample import article
from winnow.flow.records import RunRecords

HOSTILE = "<script>alert('x')</script>\x1b[31m"


def write_documents(folder: Path) -> Path:
    """Articles, each with copies of which every so-manieth word is another: from equal to hardly alike."""
    rng = random.Random(5)
    texts = []
    for _ in range(24):
        words = article(rng, rng.randint(10, 60)).split(" ")
        texts.append(" ".join(words))
        for step in rng.sample([12, 16, 24, 30, 40, 60, 90, 150], 4):
            edited = [f"w{rng.randint(0, 99)}" if at % step == 7 else word for at, word in enumerate(words)]
            texts.append(" ".join(edited))
        texts.append(texts[-2])
    texts += [f"{HOSTILE} " + texts[0], "", "...", "...", "!!!", "one two"]
    texts += ["日本語の文章です。" * 20, "日本語の文章です。" * 21]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "documents.jsonl"
    lines = [json.dumps({"id": f"{HOSTILE}{n}", "text": text}) for n, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n")
    return path


def settings(documents: Path, run: Path, **sections) -> dict:
    return {
        "run": str(run),
        "sources": [{"name": "all", "path": str(documents), "id": "id"}],
        "filter": {"mode": "annotate"},
        "shards": {"sequence_tokens": 127, "shard_mb": 1, "splits": {"val": 0.3, "test": 0.2}},
        **sections,
        "compute": {"executor": "inline"},
    }


class Truth:
    """All texts, decisions and similarities of a run."""

    def __init__(self, run: RunRecords) -> None:
        self.texts, self.decisions = texts_and_decisions(run)
        self.sets = {doc: shingles(text) for doc, text in self.texts.items()}
        self.passed = {doc for doc, row in self.decisions.items() if row["outcome"] != "empty"}
        self.similarity = {(a, b): jaccard(self.sets[a], self.sets[b]) for a, b in combinations(sorted(self.texts), 2)}

    def kept(self, doc: int) -> bool:
        return self.decisions[doc]["outcome"] == "kept"

    def pairs(self, low: float) -> set[tuple[int, int]]:
        """Pairs of different texts, both of which took part in dedup."""
        return {
            (a, b)
            for (a, b), similarity in self.similarity.items()
            if similarity >= low and {a, b} <= self.passed and self.texts[a] != self.texts[b]
        }


def alter_decisions(run: RunRecords, doc: int, **values) -> None:
    """Change one row of the ledger on disk."""
    for record in run.of("decide"):
        path = run.store.path(record.outputs["decisions"].path)
        table = pq.read_table(path)
        rows = table.to_pylist()
        for row in rows:
            if row["doc"] == doc:
                row |= values
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
