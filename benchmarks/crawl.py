"""From a web archive to shards: rates of bytes read and of text, and what share of the work extraction is.

    python -m benchmarks.crawl [SHARED] [--megabytes 200]

The archive is made of real pages (articles of mozilla/readability and the documentation of Kafka in SHARED), each
copy with a number in its title and its last words, so that no two are exact duplicates; gzipped record by record. The
run is in this process, on one core, with every default; extraction is timed apart, on the same pages.
"""

import argparse
import io
import tempfile
import time
from pathlib import Path

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from benchmarks.measuring import read_records
from winnow.config.config import parse_config
from winnow.runs.run import run
from winnow.sources.source import SourceConfig
from winnow.sources.web.page import decode_page, extract

SOURCE = SourceConfig(name="web", path="-")
HEADERS = [("Content-Type", "text/html; charset=utf-8")]


def real_pages(shared: Path) -> list[bytes]:
    """Pages as they were served."""
    articles = read_records(shared / "corpus" / "05-readability-pages.jsonl.zst")
    found = [record["text"] for record in articles if record["path"].endswith("source.html")]
    kafka = (record["text"] for record in read_records(shared / "corpus" / "04-kafka-site.jsonl.zst"))
    found += [text for text in kafka if "<html" in text[:2000].lower()][:400]
    return [text.encode() for text in found]


def write_archive(path: Path, pages: list[bytes], most: int) -> list[bytes]:
    """Pages of ``most`` bytes in all, each made its own; they are returned as they stand there."""
    written: list[bytes] = []
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        size = 0
        while size < most:
            number = len(written)
            body = pages[number % len(pages)].replace(b"</title>", b" %d</title>" % number, 1)
            body = body.replace(b"</p>", b" number %d of this crawl.</p>" % number)
            answered = StatusAndHeaders("200 OK", HEADERS, protocol="HTTP/1.1")
            record = writer.create_warc_record(
                f"http://example.org/{number}", "response", payload=io.BytesIO(body), http_headers=answered
            )
            writer.write_record(record)
            written.append(body)
            size += len(body)
    return written


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", nargs="?", default="../shared", type=Path)
    parser.add_argument("--megabytes", default=200, type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "crawl.warc.gz"
        pages = write_archive(path, real_pages(given.shared), given.megabytes * 1_000_000)
        html = sum(map(len, pages))
        for page in pages[:100]:
            extract(page.decode(), SOURCE)  # what is loaded once
        started = time.process_time()
        for page in pages:
            extract(decode_page(page, "utf-8").text, SOURCE)
        extracting = time.process_time() - started
        config = {
            "run": str(Path(name) / "run"),
            "sources": [{"name": "web", "path": str(path)}],
            "filter": {"mode": "annotate"},
            "report": False,
            "compute": {"executor": "inline"},
        }
        started, spent = time.perf_counter(), time.process_time()
        finished = run(parse_config(config)).run
        wall, spent = time.perf_counter() - started, time.process_time() - spent
    text, stored = finished.total("measure", "text_bytes"), sum(file.bytes for file in finished.files)
    outcomes = finished.totals("decide", "outcome")
    print(f"{len(pages):,} pages, {stored / 1e6:,.0f} MB stored, {html / 1e6:,.0f} of HTML, {text / 1e6:,.0f} of text")
    print(f"outcomes: {', '.join(f'{name} {number:,}' for name, number in outcomes.items())}")
    print(f"{wall:,.1f} s wall, {spent:,.1f} s of processor time")
    print(f"a second of processor time: {stored / spent / 1e6:,.1f} MB stored, {html / spent / 1e6:,.1f} MB of HTML,")
    print(f"{text / spent / 1e6:,.1f} MB of text; extraction {extracting:,.1f} s, {extracting / spent:.0%} of it")


if __name__ == "__main__":
    main()
