"""Dumps of wikis: which pages are documents, what is malformed, and that memory and time stay bounded."""

import bz2
import gzip
import random
import time
import xml.etree.ElementTree as ElementTree

import pytest

from tests.support.packed import look
from tests.support.wikis import ARTICLE, ARTICLE_TEXT, HEAD, TAIL, dump, page, revision
from winnow.sources.readers import decoders, streams

PAGES = (
    page(1, "Aller", revision(10, "an old text"), revision(11, ARTICLE)),
    page(2, "B", revision(3, "#REDIRECT [[Aller]]"), redirect="Aller"),
    page(3, "Diskussion:B", revision(4, "talk"), ns=1),
    page(5, "Modul", revision(9, "return {}", model="Scribunto")),
    page(6, 'Ä & "b" c/d', revision(12, "Text <b>x</b> &amp; y")),
    page(7, "Deleted", revision(13, "", attributes=' deleted="deleted"')),
)
KEEP = ["title", "revision", "timestamp", "url"]


def test_articles_become_documents_and_other_pages_are_counted(tmp_path):
    data = dump(*PAGES)
    found = look(tmp_path / "a.xml", data, keep=KEEP)
    assert (found.ids, found.rows) == (["1", "6"], [0, 4])
    assert found.texts == [ARTICLE_TEXT, "Text x & y"]
    assert {name: values[1] for name, values in found.keep.items()} == {
        "title": 'Ä & "b" c/d',
        "revision": "12",
        "timestamp": "2024-05-01T12:00:00Z",
        "url": "https://de.wikipedia.org/wiki/%C3%84_%26_%22b%22_c/d",
    }
    assert found.passed == {
        "redirect": 1,
        "page outside namespace 0": 1,
        "page that is no wikitext": 1,
        "page whose text was deleted": 1,
    }
    assert found.noted == {"templates left out": 1, "tables left out": 1} and found.bytes_read == len(data)
    assert look(tmp_path / "a.xml", id="title").ids == ["Aller", 'Ä & "b" c/d']
    assert look(tmp_path / "a.xml", extract="raw").texts[0] == ARTICLE


def test_exports_of_old_versions(tmp_path):
    """Without the elements ``ns`` and ``redirect``."""
    talk, moved = page(1, "Diskussion:A", revision(1, "talk")), page(2, "B", revision(2, "#Redirect [[A]]"))
    data = dump(talk, moved, page(3, "A: B", revision(3, "text")), page(4, "Datei", revision(4, "a"))).replace(
        b"<ns>0</ns>", b""
    )
    found = look(tmp_path / "a.xml", data)
    assert found.ids == ["3", "4"] and found.passed == {"page outside namespace 0": 1, "redirect": 1}


def test_an_xml_parser_finds_the_same_pages(tmp_path):
    rng = random.Random(2)
    texts = ["".join(rng.choices("a <>&\"'{}[]|=\n语é", k=rng.randrange(300))) for _ in range(50)]
    data = dump(*(page(n, f"T{n}", revision(n, text)) for n, text in enumerate(texts)))
    found = look(tmp_path / "a.xml", data, extract="raw")
    space = "{http://www.mediawiki.org/xml/export-0.11/}"
    assert found.texts == [e.text or "" for e in ElementTree.fromstring(data.decode()).iter(f"{space}text")]


def test_streams_end_to_end_and_other_compressions(tmp_path):
    data, head = dump(*PAGES), len(HEAD.encode())
    multistream = bz2.compress(data[:head]) + bz2.compress(data[head:3000]) + bz2.compress(data[3000:])
    assert look(tmp_path / "a.xml.bz2", multistream).texts[1] == "Text x & y"
    assert look(tmp_path / "a.xml.gz", gzip.compress(data)).texts[1] == "Text x & y"
    cut = look(tmp_path / "b.xml.bz2", multistream[:-30])
    assert cut.kinds[-1] == (None, "truncated file")


def test_a_malformed_page_costs_itself_alone(tmp_path):
    data = dump(*PAGES)
    path = tmp_path / "a.xml"
    tag = look(path, data.replace(b"<ns>1</ns>", b"<ns>1</sn>"))
    assert tag.ids == ["1", "6"] and [(b.row, b.reason) for b in tag.unreadable] == [
        (2, "malformed XML: mismatched tag, in the page")
    ]
    assert tag.unreadable[0].position == data.index(b"<page>", data.index(b"#REDIRECT"))
    open_page = look(path, data.replace(b"  </page>\n", b"", 1))
    assert open_page.ids == ["6"] and open_page.kinds == [(0, "malformed XML")]
    entity = look(path, data.replace(b"Aller bei", b"&lol; bei", 1))
    assert entity.ids == ["6"] and entity.unreadable[0].reason == "malformed XML: undefined entity, in the page"
    stray = look(path, data.replace(b"  </page>\n", b"  </page>\nstray", 1))
    assert stray.ids == ["1", "6"] and stray.rows == [0, 5]
    assert [(bad.row, bad.reason, bad.bytes) for bad in stray.unreadable] == [
        (1, "malformed XML: something stands between two pages", 8)
    ]
    replaced = look(path, data.replace(b"Celle", b"\xff\xfe", 1))
    assert replaced.ids == ["1", "6"] and replaced.noted["replaced"] == 1
    assert look(path, invalid_utf8="reject").kinds == [(0, "invalid UTF-8")]
    none = look(path, dump(page(1, "T")))
    assert none.bad == {"1": "missing text: the page has no revision with text"}


def test_the_end_is_missing(tmp_path):
    data, path = dump(*PAGES), tmp_path / "a.xml"
    within = look(path, data[: data.rindex(b"</page>") - 5])
    assert within.ids == ["1", "6"] and within.kinds == [(5, "cut off")]
    between = look(path, data[: -len(TAIL)])
    assert between.ids == ["1", "6"] and between.kinds == [(None, "truncated file")]


def test_entities_of_the_file_are_never_expanded(tmp_path):
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10))
    data = f"<?xml version='1.0'?><!DOCTYPE mediawiki [{laughs}]>".encode() + dump(page(1, "T", revision(1, "x")))
    found = look(tmp_path / "a.xml", data)
    assert found.texts == [] and "declares entities" in found.unreadable[0].reason
    for other in (b"<html></html>", b"", dump().decode().encode("utf-16")):
        assert look(tmp_path / "a.xml", other).kinds in ([(None, "wrong format")], [])


def test_pages_that_are_too_large_are_only_counted(tmp_path):
    data = dump(page(1, "A", revision(1, "x" * 3_000_000)), page(2, "B", revision(2, "text")))
    found = look(tmp_path / "a.xml", data, max_document_mb=1)
    assert found.ids == ["2"] and found.kinds == [(0, "too large")]
    assert found.unreadable[0].bytes == data.index(b"</page>") + 7 - data.index(b"<page>")
    endless = look(tmp_path / "b.xml", HEAD.encode() + b"<page>" + b"x" * 3_000_000, max_document_mb=1)
    assert endless.kinds == [(0, "cut off")] and endless.unreadable[0].bytes == 3_000_006


def test_pieces_of_the_stream_do_not_matter(tmp_path, monkeypatch):
    data = dump(*PAGES).replace(b"<ns>1</ns>", b"<ns>1</sn>") + b"more"
    seen = []
    for size in (50, 999, 1 << 20):
        monkeypatch.setattr(streams, "CHUNK_BYTES", size)
        monkeypatch.setattr(decoders, "STORED_BYTES", size)
        found = look(tmp_path / "a.xml", data, size, keep=KEEP)
        seen.append((found.rows, found.texts, found.keep, found.passed, found.unreadable))
    assert seen[0] == seen[1] == seen[2]


def test_tags_without_end_take_linear_time(tmp_path):
    begin = time.process_time()
    found = look(tmp_path / "a.xml", HEAD.encode() + b"<page>" * 30_000 + b"</page>" * 100_000)
    assert len(found.unreadable) > 30_000 and time.process_time() - begin < 15


def test_what_is_no_page_of_an_export_is_told_before_the_first_page_too(tmp_path):
    first = page(1, "A", revision(1, "first")).replace("<page>", '<page xml:space="preserve">')
    found = look(tmp_path / "a.xml", dump(first, page(2, "B", revision(2, "second"))))
    assert found.texts == ["second"] and found.kinds == [(0, "malformed XML")]
    assert not look(tmp_path / "b.xml", dump()).unreadable


@pytest.mark.parametrize("name", ["a.xml", "a.xml.bz2"])
def test_a_dump_in_utf_16_is_told_as_that(tmp_path, name):
    data = dump(page(1, "A", revision(1, "first"))).decode().encode("utf-16")
    found = look(tmp_path / name, bz2.compress(data) if name.endswith("bz2") else data)
    assert found.kinds == [(None, "wrong format")] and "iconv -f utf-16" in found.unreadable[0].reason


def test_the_latest_revision_is_that_of_the_latest_time_in_either_order(tmp_path):
    old = revision(1, "old").replace("2024-05-01", "2019-01-31")
    deleted = revision(2, "", attributes=' deleted="deleted"').replace("2024-05-01", "2021-02-03")
    new = revision(3, "new")
    for revisions in ([old, deleted, new], [new, deleted, old], [deleted, new, old]):
        found = look(tmp_path / "a.xml", dump(page(1, "A", *revisions)), keep=["revision"])
        assert (found.texts, found.keep["revision"]) == (["new"], ["3"])
    assert look(tmp_path / "a.xml", dump(page(1, "A", deleted, old))).passed == {"page whose text was deleted": 1}


def test_a_dump_without_its_texts_is_told(tmp_path):
    stub = page(1, "A", revision(1, "x" * 44).replace(f">{'x' * 44}<", "><"))
    found = look(tmp_path / "a.xml", dump(stub, page(2, "Empty", revision(2, ""))))
    assert (found.texts, found.ids, found.kinds) == ([""], ["2"], [(0, "missing text")])
