"""Which records of an archive are documents, and what is told of those that are cut."""

from pathlib import Path

import pytest

from tests.support.reading import open_binary
from winnow.sources.read import read_slice
from winnow.sources.readers.warc import CUT
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig

SAID = "A sentence of a page that says a little. " * 20
PAGE = f"<html><head><title>T</title></head><body><article><p>{SAID}</p></article></body></html>".encode()


def record(kind: str, body: bytes, content_type: str = "application/http", **headers: str) -> bytes:
    given = {"WARC-Type": kind, "WARC-Record-ID": "<urn:uuid:1>", "WARC-Target-URI": "http://e.org/"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    given |= {"Content-Type": content_type, "Content-Length": str(len(body))}
    return "\r\n".join(["WARC/1.1", *(f"{k}: {v}" for k, v in given.items()), "", ""]).encode() + body + b"\r\n\r\n"


def response(body: bytes, *lines: str, **headers: str) -> bytes:
    return record("response", "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode() + body, **headers)


def read(path: Path, data: bytes) -> tuple[list[str], dict[str, int], dict[str, int]]:
    """Texts, notes and what is no document."""
    path.write_bytes(data)
    source = SourceConfig(name="s", path=str(path))
    part = FileSlice(path=str(path), file=0, source="s", format="warc", size=len(data))
    batches = list(read_slice(part, source, open_binary, 1 << 20))
    assert not [bad for batch in batches for bad in batch.unreadable]
    return (
        [text for batch in batches for text in batch.texts.to_pylist()],
        {note: number for batch in batches for note, (number, _) in batch.noted.items()},
        {what: number for batch in batches for what, number in batch.passed.items()},
    )


def test_a_page_that_was_cut_short_is_told(tmp_path):
    html = "Content-Type: text/html"
    cut = [
        response(PAGE[:600], html, WARC_Truncated="length"),
        response(PAGE[:600], html, WARC_Segment_Number="1"),
        response(PAGE[:600], html, f"Content-Length: {len(PAGE)}"),
    ]
    texts, notes, _ = read(tmp_path / "a.warc", b"".join([*cut, response(PAGE, html, f"Content-Length: {len(PAGE)}")]))
    assert len(texts) == 4 and notes == {CUT: 3}


def test_what_crawlers_note_of_themselves_is_no_document(tmp_path):
    addresses = ["metadata://gnu.org/software/wget/warc/wget.log", "urn:X-wpull:log", "urn:text:http://e.org/"]
    notes = [record("resource", b"a log", "text/plain", WARC_Target_URI=address) for address in addresses]
    own = record("resource", b"a text", "text/plain", WARC_Target_URI="file:///notes.txt")
    texts, _, passed = read(tmp_path / "a.warc", b"".join([*notes, own]))
    assert texts == ["a text"] and passed == {"note of the crawler": 3}


def test_a_content_type_that_was_sent_twice(tmp_path):
    twice = response(PAGE, "Content-Type: text/html", "Content-Type: text/html; charset=utf-8")
    assert read(tmp_path / "a.warc", twice)[0] == [SAID.strip()]


@pytest.mark.parametrize("more", ["text/html", "text/html; charset=utf-8", "text/html 200 - - 0 a.arc"])
def test_lines_of_arc_with_more_than_five_words(tmp_path, more):
    body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE
    line = f"http://e.org/ 1.2.3.4 20200101000000 {more} {len(body)}\n".encode()
    first = b"filedesc://a.arc 0.0.0.0 20200101000000 text/plain 200 - - 0 a.arc 4\n2 0\n"
    texts, _, passed = read(tmp_path / "a.arc", first + b"\n" + (line + body + b"\n") * 2)
    assert texts == [SAID.strip()] * 2 and passed == {"warcinfo": 1}
