"""Pages and records that break rules, one by one: a document, counted as none, or unreadable with the reason."""

import gzip
import time

import brotli
import pytest

from tests.sources.web.test_archive_reader import PAGE, SAID, record, response
from tests.support.reading import open_binary
from winnow.sources.read import format_of, read_slice
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig

HTML = "Content-Type: text/html"
KEEP = ("charset", "charset_from", "replaced", "extraction")


def read(folder, data: bytes, **settings):
    """Documents as fields, what is no document, reasons of what is unreadable, and what was noted."""
    path = folder / "a.warc"
    path.write_bytes(data)
    source = SourceConfig(name="s", path=str(path), keep=KEEP, **settings)
    part = FileSlice(path=str(path), file=0, source="s", format="warc", size=len(data))
    batches = list(read_slice(part, source, open_binary, 1 << 20))
    documents = [
        {"text": text, **{name: batch.keep[name][n].as_py() for name in KEEP}}
        for batch in batches
        for n, text in enumerate(batch.texts.to_pylist())
    ]
    passed = {what: number for batch in batches for what, number in batch.passed.items()}
    reasons = [bad.reason for batch in batches for bad in batch.unreadable]
    return documents, passed, reasons, {note for batch in batches for note in batch.noted}


def page(body: str) -> bytes:
    return f"<html><head><title>T</title></head>{body}</html>".encode()


def test_other_statuses_and_kinds_are_counted_and_never_documents(tmp_path):
    answers = [
        record("response", f"HTTP/1.1 {line}\r\n{HTML}\r\n\r\n".encode() + PAGE)
        for line in ("206 Partial Content", "301 Moved", "404 Not Found", "410 Gone", "500 Oops", "999", "OK")
    ]
    others = [record(kind, b"HTTP/1.1 200 OK\r\n\r\n") for kind in ("revisit", "request", "metadata", "continuation")]
    others.append(record("news of the crawler", b"x", "text/plain"))
    found, passed, reasons, _ = read(tmp_path, b"".join([*answers, *others, response(PAGE, HTML)]))
    assert [document["text"] for document in found] == [SAID.strip()] and not reasons
    assert passed == {
        "response with status 2xx": 1,
        "response with status 3xx": 1,
        "response with status 4xx": 2,
        "response with status 5xx": 1,
        "response with status 9xx": 1,
        "response without status": 1,
        **dict.fromkeys(("revisit", "request", "metadata", "continuation"), 1),
        "other record": 1,
    }


def _halves(made: bytes) -> tuple[bytes, bytes, bytes]:
    """Headers of a record, and its body."""
    return made.partition(b"\r\n\r\n")


def test_a_wet_record_has_no_http_headers(tmp_path):
    texts = ["HTTP/1.1 is a protocol.\r\n\r\nA text may begin with its name.", "Zwei Zeilen: für\nalle.", ""]
    records = [record("conversion", text.encode(), "text/plain") for text in texts]
    with_line_feeds = [head.replace(b"\r\n", b"\n") + b"\n\n" + body for head, _, body in map(_halves, records)]
    for data in (b"".join(records), b"".join(with_line_feeds)):
        found, passed, reasons, _ = read(tmp_path, data)
        assert [document["text"] for document in found] == texts and not passed and not reasons
        assert {document["extraction"] for document in found} == {"plain text"}


def test_bytes_that_are_zero(tmp_path):
    torn = PAGE.replace(b"sentence", b"sen\0tence", 1).replace(b"<p>", b"<p>\0\0", 1)
    (found,), _, reasons, _ = read(tmp_path, response(torn, HTML))
    assert not reasons and found["charset"] == "utf_8"
    assert found["text"].replace("\0", "").replace("\ufffd", "") == SAID.strip()
    nothing, _, reasons, _ = read(tmp_path, response(bytes(5000), HTML))
    assert [document["text"].strip("\0\ufffd") for document in nothing] == [""] and not reasons


def test_frames_and_redirects_are_pages_with_the_text_that_they_hold(tmp_path):
    frames = page(f"<frameset><frame src=a.html><frame src=b.html><noframes><p>{SAID}</p></noframes></frameset>")
    inline = page(f"<body><iframe src=a.html><p>Not shown.</p></iframe><article><p>{SAID}</p></article></body>")
    moved = page("<meta http-equiv=refresh content='0; url=http://e.org/new'><body><a href=/new>here</a></body>")
    found, _, reasons, _ = read(tmp_path, b"".join(response(body, HTML) for body in (frames, inline, moved)))
    assert not reasons and len(found) == 3
    assert [document["text"] for document in found] == ["", SAID.strip(), "here"]


@pytest.mark.parametrize("name", ["br", "gzip"])
def test_a_bomb_gives_no_more_than_the_config_allows(tmp_path, name):
    large = PAGE.replace(b"</article>", b"<p>" + b"x" * 3_000_000 + b"</article>")
    packed = brotli.compress(large) if name == "br" else gzip.compress(large)
    coded = response(packed, HTML, f"Content-Encoding: {name}")
    found, _, reasons, _ = read(tmp_path, coded)
    assert len(found) == 1 and not reasons
    found, _, (reason,), _ = read(tmp_path, coded, max_document_mb=1)
    assert not found and reason.startswith("too large: over 1,000,000 bytes out of")


@pytest.mark.slow
def test_a_page_of_one_tag_and_one_of_16_mb(tmp_path):
    started = time.process_time()
    most = 15_900_000
    for body in (b"<" + b"a" * most, b"<a " + b"x" * most, b"<a x='" + b"y" * most, b"<!" * (most // 2)):
        found, _, reasons, _ = read(tmp_path, response(body, HTML))
        assert len(found) + len(reasons) == 1
    _, _, (reason,), _ = read(tmp_path, response(b"x" * 16_000_001, HTML))
    assert reason == "too large: a page of 16,000,001 bytes"
    assert time.process_time() - started < 60


def test_a_file_whose_suffix_is_of_another_format_is_told_those_of_its_own():
    with pytest.raises(ValueError, match=r"suffix of format warc \(\.warc, \.wet, \.arc; .* name the file itself$"):
        format_of("in/a.warc.gz.bad", SourceConfig(name="s", path="in", format="warc"))
    with pytest.raises(ValueError, match=r"known suffix \(\.jsonl, .*or set `format`$"):
        format_of("in/a.warc.gz.bad", SourceConfig(name="s", path="in"))


GERMAN = "Grüße aus Köln, schöne Straßen und ein paar Äpfel für jeden. " * 20


@pytest.mark.parametrize(
    ("encoded", "header", "meta", "mark", "charset", "how"),
    [
        ("utf-8", "iso-8859-1", "windows-1251", b"\xef\xbb\xbf", "utf_8", "bom"),
        ("utf-8", "iso-8859-1", "windows-1251", b"", "utf_8", "utf-8"),
        ("cp1252", "utf-8", "iso-8859-1", b"", "cp1252", "meta"),
        ("cp1252", "iso-8859-1", "utf-8", b"", "cp1252", "http"),
        ("utf-16-le", "utf-8", "iso-8859-1", b"\xff\xfe", "utf_16_le", "bom"),
        ("cp1252", "utf-8", "utf-8", b"\xef\xbb\xbf", "utf_8", "bom"),
        ("cp1252", "utf-8", "utf-8", b"", "cp1252", "guessed"),
    ],
)
def test_header_meta_and_byte_order_mark_disagree(tmp_path, encoded, header, meta, mark, charset, how):
    text = f"<html><head><meta charset={meta}></head><body><article><p>{GERMAN}</p></article></body></html>"
    body = mark + text.encode(encoded)
    (found,), _, _, noted = read(tmp_path, response(body, f"{HTML}; charset={header}"))
    assert (found["charset"], found["charset_from"]) == (charset, how)
    lies = mark == b"\xef\xbb\xbf" and encoded == "cp1252"  # the mark is believed, and what it breaks is counted
    assert ("Grüße" not in found["text"]) == lies == (found["replaced"] != "0")
    assert bool(noted) == (lies or how == "guessed")
