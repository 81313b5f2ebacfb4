"""Small corpora: of their own making, or parts of the shared one. The same files for the same arguments."""

import gzip
import io
import json
import random
from collections.abc import Iterator
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
HOSTILE = "<script>alert('x')</script>\x1b[31m"
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


def documents_of(path: Path) -> Iterator[dict]:
    """Records of a .jsonl.zst file."""
    with path.open("rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        yield from map(json.loads, io.TextIOWrapper(data, "utf-8", newline="\n"))


def real_lines(shared: Path, every: int, of: int = 0) -> list[str]:
    """Every n-th record of the shared corpus, in its order."""
    lines = []
    number = 0
    for path in sorted((shared / "corpus").glob("[01]*.jsonl.zst")):
        data = zstandard.ZstdDecompressor().stream_reader(path.open("rb")).read()
        for line in data.split(b"\n"):
            if line:
                if number % every == of:
                    lines.append(line.decode())
                number += 1
    return lines


def write_nights(folder: Path, lines: list[str], nights: int) -> list[Path]:
    """The records in as many files, in an order that spreads near neighbours over nights."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for night in range(nights):
        files.append(folder / f"night-{night:02d}.jsonl")
        files[-1].write_text("\n".join(lines[night::nights]) + "\n")
    return files


def renamed(texts: list[str]) -> list[str]:
    """Records with an id of their own for each text."""
    return [json.dumps({"id": f"d{number}", "text": text}) for number, text in enumerate(texts)]


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
