"""CSV, archives, books and dumps of wikis: reading each, beside what libraries do with the same bytes.

    python -m benchmarks.files [CORPUS] [--runs 3]

CORPUS is a folder of ``*.jsonl.zst``. Rates are megabytes a second of processor time on one core, median of the runs,
of bytes as they are stored uncompressed. A yardstick reads the same file and does less: it makes no batches of records.
"""

import argparse
import csv
import io
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.csv

from benchmarks.measuring import add_corpus, corpus_files, median_seconds, read_records
from tests.support.packed import chapter, write_epub
from tests.support.reading import open_binary
from tests.support.wikis import ARTICLE, dump, page, revision
from winnow.sources.read import format_of, read_slice
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig

MEGABYTES = 40


def texts_of(folder: Path) -> list[str]:
    """Documents of a corpus, some megabytes."""
    found, size = [], 0
    for path in corpus_files(folder):
        for record in read_records(path):
            text = record.get("text")
            if text and len(text) < 200_000:
                found.append(text)
                size += len(text)
                if size > MEGABYTES * 1_000_000:
                    return found
    return found


def ours(path: Path, **settings: str) -> int:
    """Records of a file."""
    source = SourceConfig(name="s", path=str(path), **settings)
    kind = format_of(str(path), source)
    part = FileSlice(path=str(path), file=0, source="s", format=kind, size=path.stat().st_size)
    batches = list(read_slice(part, source, open_binary, 16 << 20))
    assert not [bad for batch in batches for bad in batch.unreadable]
    return sum(len(batch.rows) for batch in batches)


def row(what: str, size: float, spent: float) -> None:
    """One line of the table."""
    print(f"| {what} | {size / spent / 1e6:,.1f} |", flush=True)


def tables(folder: Path, texts: list[str], runs: int) -> None:
    """CSV of long and of short texts."""
    short = [line for text in texts[:400] for line in text.split("\n") if line]
    for name, rows in (("documents", texts), ("lines", short)):
        path = folder / f"{name}.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "text"])
            writer.writerows(enumerate(rows))
        size = path.stat().st_size
        row(f"CSV of {name}, {size / len(rows):,.0f} bytes each", size, timed(lambda p=path: ours(p, id="id"), runs))
        row("... Python's csv", size, timed(lambda p=path: rows_of_csv(p), runs))
        row("... pyarrow.csv, one thread", size, timed(lambda p=path: rows_of_arrow(p), runs))


def rows_of_csv(path: Path) -> int:
    """Rows, as lists of strings."""
    csv.field_size_limit(1 << 30)
    with path.open(newline="") as file:
        return sum(1 for _ in csv.reader(file))


def rows_of_arrow(path: Path) -> int:
    """Rows, as Arrow columns."""
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    read = pyarrow.csv.ReadOptions(use_threads=False, block_size=16 << 20)
    return int(pyarrow.csv.read_csv(path, parse_options=parse, read_options=read).num_rows)


def archives(folder: Path, texts: list[str], runs: int) -> None:
    """Tar and zip of text files."""
    plain, packed = folder / "a.tar", folder / "a.zip"
    with tarfile.open(plain, "w") as tar, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        for number, text in enumerate(texts):
            info = tarfile.TarInfo(f"{number:06}.txt")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
            zipped.writestr(f"{number:06}.txt", text)
    size = sum(len(text.encode()) for text in texts)
    row(f"tar of text files, {size / len(texts):,.0f} bytes each", size, timed(lambda: ours(plain, id="member"), runs))

    def by_tarfile() -> int:
        with tarfile.open(plain) as tar:
            return sum(len(tar.extractfile(info).read().decode()) for info in tar)  # type: ignore[union-attr]

    row("... tarfile", size, timed(by_tarfile, runs))
    row("zip of the same", size, timed(lambda: ours(packed, id="member"), runs))

    def by_zipfile() -> int:
        with zipfile.ZipFile(packed) as zipped:
            return sum(len(zipped.read(info).decode()) for info in zipped.infolist())

    row("... zipfile", size, timed(by_zipfile, runs))


def wikis(folder: Path, texts: list[str], runs: int) -> None:
    """A dump of articles: marks of an article around plain texts."""
    articles = [f"{ARTICLE}\n== More ==\n{text[:8000]}\n" for text in texts[:400]]
    path = folder / "a.xml"
    path.write_bytes(dump(*(page(n + 1, f"T {n}", revision(n + 1, text)) for n, text in enumerate(articles))))
    size = path.stat().st_size
    row("dump of a wiki, wikitext to text", size, timed(lambda: ours(path), runs))
    row("... the wikitext alone (`extract: raw`)", size, timed(lambda: ours(path, extract="raw"), runs))
    try:
        import mwparserfromhell
    except ImportError:
        return
    some = articles[:60]
    row(
        "... mwparserfromhell, parse and strip_code",
        sum(len(text.encode()) for text in some),
        timed(lambda: sum(len(mwparserfromhell.parse(text).strip_code()) for text in some), 1),
    )


def books(folder: Path, texts: list[str], runs: int) -> None:
    """A book of many chapters."""
    path = folder / "a.epub"
    pages = {
        f"{n}.xhtml": chapter(n, "".join(f"<p>{line}</p>" for line in text.split("\n")))
        for n, text in enumerate(text.replace("&", "").replace("<", "") for text in texts[:300])
    }
    write_epub(path, pages)
    size = sum(len(text.encode()) for text in pages.values())
    row("EPUB", size, timed(lambda: ours(path), runs))


def timed(work: Callable[[], int], runs: int) -> float:
    """Seconds of processor time; the first call is not counted."""
    work()
    return median_seconds(work, runs)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    parser.add_argument("--runs", default=3, type=int)
    given = parser.parse_args()
    print("| what | MB/s a core |\n| --- | ---: |")
    texts = texts_of(given.corpus)
    with tempfile.TemporaryDirectory() as folder:
        for part in (tables, archives, wikis, books):
            part(Path(folder), texts, given.runs)


if __name__ == "__main__":
    main()
