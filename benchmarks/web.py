"""Web archives and pages: framing, the guard, extraction, each beside what others do with the same bytes.

    python -m benchmarks.web [CORPUS] [--runs 3]

CORPUS is the shared folder of test data (``corpus/`` and ``warc/``). Rates are megabytes a second of processor time on
one core, median of the runs. Word F1 is that of the text against the article that people marked, over 130 pages of
mozilla/readability: article pages only, which flatters everyone. Of trafilatura and justext, where they are installed.
"""

import argparse
import importlib
import io
import statistics
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from fastwarc.warc import ArchiveIterator as FastIterator
from warcio.archiveiterator import ArchiveIterator

from benchmarks.measuring import median_seconds, read_records
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile
from winnow.sources.web.framing import records
from winnow.sources.web.guard import shape_of
from winnow.sources.web.members import pieces_of
from winnow.sources.web.page import extract

SOURCE = SourceConfig(name="web", path="-")
ALL = SourceConfig(name="web", path="-", extract="all")


def row(what: str, size: int, spent: float, more: str = "") -> None:
    """One line of the table."""
    print(f"| {what} | {size / spent / 1e6:,.0f} | {more} |", flush=True)


def words(text: str) -> Counter[str]:
    """Runs of letters and digits, lower-case."""
    return Counter("".join(c if c.isalnum() else " " for c in text.lower()).split())


def f1(found: str, expected: str) -> float:
    """Of words."""
    ours, theirs = words(found), words(expected)
    return 2 * (ours & theirs).total() / max(1, ours.total() + theirs.total())


def framing(shared: Path, runs: int) -> None:
    """An archive of 60 times the same records, compressed and not."""
    plain = shared / "warc" / "chatnoir-eu+chatnoir-resiliparse" / "tests_data_warcfile.warc"
    for suffix, times in (("", 200), (".gz", 100)):
        data = Path(f"{plain}{suffix}").read_bytes() * times
        size = plain.stat().st_size * times

        def ours(data: bytes = data, suffix: str = suffix) -> int:
            pieces = pieces_of(StoredFile(io.BytesIO(data), len(data)), suffix)
            return sum(1 for _ in records(pieces, compressed=bool(suffix)))

        def by_warcio(data: bytes = data) -> int:
            return sum(len(record.raw_stream.read()) > 0 for record in ArchiveIterator(io.BytesIO(data)))

        def by_fastwarc(data: bytes = data) -> int:
            read = FastIterator(io.BytesIO(data), parse_http=False, auto_decode="none")
            return sum(len(record.reader.read()) > 0 for record in read)

        row(f"records of a WARC{suffix} file", size, median_seconds(ours, runs), f"{ours():,} records")
        row(f"... warcio 1.8, WARC{suffix}", size, median_seconds(by_warcio, 1))
        row(f"... fastwarc 2.0, WARC{suffix}", size, median_seconds(by_fastwarc, runs))


def pages(shared: Path, runs: int) -> None:
    """Extraction from articles and from documentation pages."""
    by_folder: dict[str, dict[str, str]] = {}
    for document in read_records(shared / "corpus" / "05-readability-pages.jsonl.zst"):
        folder, _, name = document["path"].rpartition("/")
        by_folder.setdefault(folder, {})[name] = document["text"]
    articles = [files for files in by_folder.values() if {"source.html", "expected.html"} <= files.keys()]
    html = [files["source.html"] for files in articles]
    expected = [extract(files["expected.html"], ALL).text for files in articles]
    kafka = [document["text"] for document in read_records(shared / "corpus" / "04-kafka-site.jsonl.zst")]
    kafka = [text for text in kafka if "<html" in text[:2000].lower()][:400]
    encoded = [text.encode() for text in [*html, *kafka]]
    row("guard", sum(map(len, encoded)), median_seconds(lambda: [shape_of(page) for page in encoded], runs))
    ways: dict[str, Callable[[str], str]] = {
        "main content (default)": lambda page: extract(page, SOURCE).text,
        "all text": lambda page: extract(page, ALL).text,
    }
    plain = importlib.import_module("resiliparse.extract.html2text").extract_plain_text
    ways["resiliparse 2.0 alone, main content"] = lambda page: plain(page, main_content=True)
    for name in ("trafilatura", "justext"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        if name == "trafilatura":
            ways[name] = lambda page, module=module: module.extract(page) or ""
        else:
            stop = module.get_stoplist("English")
            ways[name] = lambda page, module=module, stop=stop: "\n".join(
                p.text for p in module.justext(page.encode(), stop) if not p.is_boilerplate
            )
    for kind, given in (("articles", html), ("documentation", kafka)):
        size = sum(len(text.encode()) for text in given)
        for name, way in ways.items():
            texts = [way(page) for page in given]
            told = f"{sum(not text.strip() for text in texts)} empty of {len(given)}"
            if given is html:
                score = statistics.mean(f1(text, right) for text, right in zip(texts, expected, strict=True))
                told = f"word F1 {score:.3f}, {told}"
            slow = name in ("trafilatura", "justext")
            spent = median_seconds(lambda way=way, given=given: [way(page) for page in given], 1 if slow else runs)
            row(f"{kind}: {name}", size, spent, told)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", nargs="?", default="../shared", type=Path)
    parser.add_argument("--runs", default=3, type=int)
    given = parser.parse_args()
    print("| what | MB/s a core | |\n| --- | ---: | --- |")
    framing(given.shared, given.runs)
    pages(given.shared, given.runs)


if __name__ == "__main__":
    main()
