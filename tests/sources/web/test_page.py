"""Pages: their encoding, their text, and those that a parser would never end with."""

import base64
import time

import pytest

from tests.support.corpora import documents_of
from winnow.sources.fields import BadRecordError
from winnow.sources.source import SourceConfig
from winnow.sources.web import guard, page
from winnow.sources.web.guard import refusal, shape_of
from winnow.sources.web.page import FALLBACK, decode_page, extract

GERMAN = "Grüße aus Köln, schöne Straßen und ein paar Äpfel für jeden. " * 5
JAPANESE = "日本語の文章がここにあります。これは例です。" * 20


def source(**more) -> SourceConfig:
    return SourceConfig(name="s", path="x.html", **more)


@pytest.mark.parametrize(
    ("page", "charset", "encoding", "how"),
    [
        (b"\xef\xbb\xbf" + GERMAN.encode(), "latin-1", "utf_8", "bom"),
        ("\ufeff".encode("utf-16-le") + GERMAN.encode("utf-16-le"), "", "utf_16_le", "bom"),
        (GERMAN.encode(), "iso-8859-1", "utf_8", "utf-8"),
        (GERMAN.encode("cp1252"), "ISO-8859-1", "cp1252", "http"),
        (b"<meta charset='windows-1252'>" + GERMAN.encode("cp1252"), "", "cp1252", "meta"),
        (b"<meta charset='gb2312'>" + "简体字的文章。".encode("gb18030"), "utf-8", "gb18030", "meta"),
        (JAPANESE.encode("shift_jis"), "x-sjis", "cp932", "http"),
        (JAPANESE.encode("euc_jp"), "utf-8", "euc_jp", "guessed"),
        (JAPANESE.encode("iso2022_jp"), "", "iso2022_jp", "guessed"),
        ("한국어 문장이 여기에 있습니다. ".encode("euc_kr") * 20, "ks_c_5601-1987", "cp949", "http"),
        (b"only ASCII", "koi8-r", "utf_8", "ascii"),
        (b"<?xml version='1.0' encoding='iso-8859-1'?>" + GERMAN.encode("latin-1"), "", "cp1252", "meta"),
        (b"<meta charset=utf-16>" + GERMAN.encode("cp1252"), "no-such-charset", None, None),
    ],
)
def test_the_encoding_of_a_page(page, charset, encoding, how):
    found = decode_page(page, charset)
    if encoding is not None:
        assert (found.encoding, found.how, found.replaced) == (encoding, how, 0)
    assert "\ufffd" not in found.text


@pytest.mark.parametrize(
    ("labels", "encoding", "text"),
    [
        ("iso-8859-8-i iso-8859-8-e logical visual csiso88598i csiso88598e iso88598", "iso8859_8", "דג סקרן שט בים"),
        ("windows-874 dos-874 iso885911 tis-620", "cp874", "เป็นมนุษย์สุดประเสริฐ"),
        ("iso-8859-6-i iso-8859-6-e csiso88596e csiso88596i iso88596", "iso8859_6", "نص حكيم له سر قاطع"),
        ("x-cp1251", "cp1251", "Съешь ещё этих булок"),
        ("koi koi8 cskoi8r", "koi8_r", "Съешь ещё этих булок"),
        ("koi8-ru", "koi8_u", "Щастя її ґанок"),
        ("x-mac-cyrillic x-mac-ukrainian", "mac_cyrillic", "Съешь ещё этих булок"),
        ("x-mac-roman mac csmacintosh macintosh", "mac_roman", "Voilà l’été"),
        ("iso88592 l2", "iso8859_2", "Zażółć gęślą jaźń"),
        ("iso88595 cyrillic", "iso8859_5", "Съешь ещё этих булок"),
        ("iso88597 sun_eu_greek", "iso8859_7", "Ξεσκεπάζω την"),
        ("iso885915 csisolatin9", "iso8859_15", "œufs à 5 €"),
        ("iso88591 x-cp1252", "cp1252", "Voilà l’été"),
        ("iso88599 x-cp1254", "cp1254", "Pijamalı hasta yağız"),
        ("x-cp1250", "cp1250", "Zażółć gęślą jaźń"),
        ("x-cp1253", "cp1253", "Ξεσκεπάζω την"),
        ("x-cp1255", "cp1255", "דג סקרן שט בים"),
        ("x-cp1256", "cp1256", "نص حكيم له سر قاطع"),
        ("windows-31j", "cp932", "日本語の文章"),
        ("cseucpkdfmtjapanese", "euc_jp", "日本語の文章"),
        ("cseuckr csksc56011987 iso-ir-149 ks_c_5601-1989 ksc_5601", "cp949", "한국어 문장"),
        ("csgb2312 gb_2312 gb_2312-80", "gb18030", "简体字的文章"),
        ("cn-big5 x-x-big5", "big5hkscs", "繁體字的文章"),
    ],
)
def test_every_label_of_browsers_is_believed(labels, encoding, text):
    for label in labels.split():
        found = decode_page(f"<meta charset={label}>{text}".encode(encoding))
        assert (found.encoding, found.how) == (encoding, "meta") and found.text.endswith(text)


@pytest.mark.parametrize("label", ["http", "meta"])
@pytest.mark.parametrize(
    ("encoding", "name", "text", "bad"),
    [
        ("windows-1251", "cp1251", "Съешь ещё этих мягких булок. " * 8, b"\x98"),
        ("gb2312", "gb18030", "简体字的文章在这里。" * 20, b"\xff"),
        ("shift_jis", "cp932", JAPANESE, b"\x85\x40\xfd"),
        ("euc-kr", "cp949", "한국어 문장이 여기에 있습니다. " * 20, b"\xff"),
        ("big5", "big5hkscs", "繁體字的文章在這裡。" * 20, b"\xff"),
        ("windows-1255", "cp1255", "דג סקרן שט בים מאוכזב ולפתע. " * 6, b"\xd9"),
        ("windows-1253", "cp1253", "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. " * 6, b"\xaa"),
        ("windows-1252", "cp1252", "Voilà l’été où les élèves mangent des œufs. " * 6, b"\x9d"),
        ("gb2312", "gb18030", "简体字的文章在这里。" * 20, "简".encode("gb18030")[:1]),
    ],
)
def test_one_bad_byte_does_not_lose_the_encoding_that_a_page_names(encoding, name, text, bad, label):
    data = text.encode(name) + bad
    found = (
        decode_page(data, encoding) if label == "http" else decode_page(f"<meta charset={encoding}>".encode() + data)
    )
    assert (found.encoding, found.how) == (name, label) and text in found.text and 0 < found.replaced <= 2


def test_a_named_encoding_that_many_bytes_are_not_in_is_not_believed():
    data = JAPANESE.encode("shift_jis")
    assert decode_page(data, "iso-8859-1").encoding == "cp932"
    assert decode_page(b"<meta charset=shift_jis>" + data + b"\x82", "iso-8859-1")[1:] == ("cp932", "meta", 1)
    assert decode_page(JAPANESE.encode("euc_jp"), "shift_jis").encoding == "euc_jp"


def test_a_page_that_is_damaged_says_how_much_was_replaced():
    cut = GERMAN.encode()[:-1].replace("ö".encode(), b"\xc3", 1)
    found = decode_page(cut)
    assert found.encoding == "utf_8" and found.replaced == 1 and "Grüße" in found.text


def test_main_content_all_text_and_html_as_it_is():
    html = (
        "<html><head><title>T</title><style>p{}</style></head><body><nav><a href=/>Home</a> <a href=/b>About</a></nav>"
        f"<article><h1>Head</h1><p>{'A sentence of the article. ' * 40}</p></article>"
        "<footer>Imprint</footer></body></html>"
    )
    main = extract(html, source()).text
    assert "A sentence of the article." in main and "Imprint" not in main and "Home" not in main
    everything = extract(html, source(extract="all")).text
    assert "Imprint" in everything and "p{}" not in everything
    assert extract(html, source(extract="raw")).text == html


def test_a_page_without_main_content_gives_all_of_its_text_and_says_so():
    items = "".join(f"<li><a href=/{n}>Entry number {n} of the index</a></li>" for n in range(60))
    found = extract(f"<html><body><nav><ul>{items}</ul></nav></body></html>", source())
    assert found.note == FALLBACK and "Entry number 59" in found.text


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("<div>" * 100_000, "page too deep"),
        ("".join(f"<p><b id={n}>" for n in range(100_000)), "page too deep"),
        ("<div></b>" * 100_000, "page too deep"),
        ("<a " + " ".join(f"x{n}=1" for n in range(100_000)) + ">", "page too complex: 100,000 attributes"),
        ("<select>" + "<option>" * 100_000, "page too complex: 100,000 options"),
        ("x" * 16_000_001, "too large: a page of 16,000,001 bytes"),
    ],
)
def test_a_page_made_to_be_slow_is_refused_at_once(page, reason):
    started = time.process_time()
    with pytest.raises(BadRecordError, match=reason):
        extract(page, source())
    assert time.process_time() - started < 5


def test_usual_pages_are_not_slow():
    assert shape_of(b"<ul>" + b"<li>x" * 9000 + b"</ul>").depth == 1
    assert shape_of(b"<p>a<br>b" * 9000).depth == 0
    assert shape_of(b"<div><p>x</div>" * 9000).depth == 1
    assert shape_of(b"<script>'" + b"<div>" * 9000 + b"'</script><b>x</b>").depth == 1
    assert shape_of(b"<!-- " + b"<div>" * 9000 + b" --><b>x</b>").depth == 1
    assert shape_of(b"<!-- -- --!>" + b"<div>" * 900).depth == shape_of(b"<!-->" + b"<div>" * 900).depth == 900
    assert shape_of(b"<a b='<div>' c=\"<p>\" d=e f>x").attributes == 4
    assert refusal(b"<" * 100_000) == refusal(b"<a " * 4_000) == refusal(b"<!--" * 9000) == ""


def test_elements_that_do_not_nest_and_those_that_hold_text_alone_open_nothing():
    for name in guard._UNNESTED:
        assert shape_of(b"<%s a=b>x" % name * 9).depth == 0, name
        assert shape_of(b"<%s>" % name.upper() * 9).depth == 0, name
    for name in guard._RAW:
        assert shape_of(b"<%s><b></%s><i>" % (name, name)).depth == 1, name
        assert shape_of(b"<%s/><b>" % name).depth == 2, name  # so much for XHTML, as it was
    for name in (b"div", b"h1", b"x-y:z", b"bodys"):
        assert shape_of(b"<%s>" % name * 9).depth == 9, name


def test_a_page_is_parsed_once_whatever_is_read_of_it(monkeypatch):
    parse, plain = page._resiliparse()
    parsed, read = [], []
    monkeypatch.setattr(page, "_resiliparse", lambda: (lambda html: parsed.append(html) or parse(html), reader))

    def reader(tree, **how):
        read.append(type(tree))
        return plain(tree, **how)

    short = "<nav>" + "<p>Much of it is navigation.</p>" * 30 + "</nav><main><p>Little.</p></main>"
    assert extract(short, source()).note == FALLBACK
    assert parsed == [short] and len(read) == 2 and str not in read


def words(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()


def f1(found: str, expected: str) -> float:
    from collections import Counter

    ours, theirs = Counter(words(found)), Counter(words(expected))
    common = (ours & theirs).total()
    return 2 * common / max(1, ours.total() + theirs.total())


def test_the_text_of_real_pages_is_what_people_read(shared):
    """130 pages of mozilla/readability with their articles; word F1 as in docs/performance.md."""
    pages: dict[str, dict[str, str]] = {}
    for document in documents_of(shared / "corpus" / "05-readability-pages.jsonl.zst"):
        folder, _, name = document["path"].rpartition("/")
        pages.setdefault(folder, {})[name] = document["text"]
    scores, empty = [], 0
    for files in pages.values():
        html, expected = files.get("source.html"), files.get("expected.html")
        if html is None or expected is None:
            continue
        found = extract(html, source()).text
        empty += not found.strip()
        scores.append(f1(found, extract(expected, source(extract="all")).text))
    assert len(scores) >= 125 and empty == 0
    assert sum(scores) / len(scores) >= 0.945


def test_encodings_of_real_files(shared):
    """Files of the shared corpus that are not UTF-8 are read without U+FFFD, but for those that are no text."""
    clean = total = 0
    for document in documents_of(shared / "corpus" / "raw-encodings.b64.jsonl.zst"):
        raw = base64.b64decode(document["bytes_b64"])
        total += 1
        clean += decode_page(raw).replaced == 0
    assert total == 600 and clean >= 560


@pytest.mark.parametrize("label", ["cp037", "unicode_escape", "raw_unicode_escape", "utf-7", "utf-32", "hex", "cp850"])
def test_names_that_browsers_do_not_know_are_no_encodings_of_pages(label):
    assert decode_page((GERMAN + r" \x41").encode("cp1252"), label)[:3] == (GERMAN + r" \x41", "cp1252", "guessed")


def test_trafilatura_gives_the_same_text_again_and_again() -> None:
    trafilatura = pytest.importorskip("trafilatura", reason="needs trafilatura (extra dev)")
    said = "".join(f"<p>Sentence {n} of a page that says a little, and then a little more.</p>" for n in range(9))
    html = f"<html><body><nav><a href='/'>Home</a></nav><article><h1>Title</h1>{said}</article></body></html>"
    source = SourceConfig(name="s", path="-", extract="trafilatura")
    first, *others = [extract(html, source) for _ in range(5)]
    assert first.text == trafilatura.extract(html, include_comments=False) and "Sentence 8" in first.text
    assert "Home" not in first.text and others == [first] * 4
    assert extract("<html></html>", source).text == ""
    with pytest.raises(BadRecordError, match="page too deep"):
        extract("<div>" * 3000, source)
