"""Books: what they say of themselves, their chapters in order, and what is locked or damaged."""

from tests.support.packed import chapter, look, package, write_epub

CHAPTERS = {"ch 2.xhtml": chapter(2), "text/ch1.xhtml": chapter(1), "ch3.xhtml": chapter(3)}
LOCK = """<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" \
xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData><enc:CipherData><enc:CipherReference URI="{}"/>\
</enc:CipherData></enc:EncryptedData></encryption>"""


def test_a_book_is_a_document_in_reading_order(tmp_path):
    path = tmp_path / "a.epub"
    write_epub(path, CHAPTERS)
    found = look(path, id="identifier", keep=["title", "creator", "language", "publisher"])
    told = "Chapter {0}\n\nWhat is told in chapter {0}, naïvely.".format
    assert found.texts == ["\n\n".join([told(2), told(1), told(3)])] and found.ids == ["urn:isbn:1"]
    assert {name: values[0] for name, values in found.keep.items()} == {
        "title": "A Book & more",
        "creator": "Ann; Bob",
        "language": "en",
        "publisher": None,
    }
    assert found.bytes_read == path.stat().st_size
    assert look(path, extract="raw").texts[0].startswith("<?xml")


def test_a_chapter_may_be_a_document(tmp_path):
    path = tmp_path / "a.epub"
    nav = '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
    cover = '<item id="cover" href="cover.svg" media-type="image/svg+xml"/>'
    names = [name.replace(" ", "%20") for name in CHAPTERS]
    opf = package(*names, "gone.xhtml", more=nav + cover).replace(
        "<spine>", '<spine><itemref idref="cover"/><itemref idref="nav"/>'
    )
    write_epub(path, CHAPTERS | {"nav.xhtml": chapter(0)}, opf)
    found = look(path, chapters=True, id="member", keep=["chapter", "title"])
    assert found.ids == ["OEBPS/ch 2.xhtml", "OEBPS/text/ch1.xhtml", "OEBPS/ch3.xhtml"]
    assert found.keep["chapter"] == ["3", "4", "5"] and found.rows == [2, 3, 4]
    assert found.passed == {"table of contents": 1, "item of a book that is no page": 1}
    assert found.bad == {"OEBPS/gone.xhtml": "malformed EPUB: the zip lacks a chapter that the book names"}
    whole = look(path)
    assert "Chapter 0" not in whole.texts[0]
    assert whole.noted == {
        "a book of which some chapters could not be read": 1,
        "a book with items that are no pages": 1,
    }


def test_locked_books_are_refused_and_scrambled_fonts_are_not(tmp_path):
    path = tmp_path / "a.epub"
    write_epub(path, CHAPTERS, **{"META-INF/encryption.xml": LOCK.format("OEBPS/ch3.xhtml")})
    assert [bad.reason for bad in look(path).unreadable] == ["encrypted book: its text is locked (DRM)"]
    assert len(look(path, chapters=True).texts) == 2
    write_epub(path, CHAPTERS, **{"META-INF/encryption.xml": LOCK.format("OEBPS/font.otf")})
    assert len(look(path).texts) == 1


def test_books_that_are_malformed(tmp_path):
    path = tmp_path / "a.epub"
    laughs = '<!DOCTYPE p [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
    reasons = {
        "entities": package("a.xhtml", entities=laughs),
        "malformed XML": "<package>",
        "its spine is empty": package(),
        "lacks a chapter": package("gone.xhtml"),
        "the zip lacks": package("../../../etc/passwd"),
    }
    for reason, opf in reasons.items():
        write_epub(path, {"a.xhtml": chapter(1)}, opf)
        (bad,) = look(path).unreadable
        assert reason in bad.reason and bad.row == 0
    write_epub(path, {"a.xhtml": "<div>" * 3000})
    assert look(path).kinds == [(0, "page too deep")]
    write_epub(path, CHAPTERS, package(*["ch3.xhtml"] * 50))
    assert look(path).texts[0].count("Chapter 3") == 1
    assert look(path, b"PK\x03\x04 no zip").kinds == [(None, "corrupt file")]


def test_a_chapter_whose_type_is_said_wrong_is_read(tmp_path):
    path = tmp_path / "a.epub"
    right = 'href="{}" media-type="application/xhtml+xml"'.format
    wrong = package("1.xhtml", "2.html", "3.svg").replace(right("2.html"), 'href="2.html" media-type="text/xml"')
    wrong = wrong.replace(right("3.svg"), 'href="3.svg" media-type="image/svg+xml"')
    write_epub(path, {"1.xhtml": chapter(1), "2.html": chapter(2), "3.svg": "<svg/>"}, wrong)
    found = look(path)
    assert found.texts[0].count("What is told") == 2 and found.noted == {"a book with items that are no pages": 1}
    write_epub(path, {"a%20b.xhtml": chapter(1)}, package("a%20b.xhtml"))  # an address in place of a name
    assert "chapter 1" in look(path).texts[0]
    locked = {"META-INF/encryption.xml": LOCK.format("OEBPS/a%20b.xhtml")}
    write_epub(path, {"a%20b.xhtml": chapter(1)}, package("a%20b.xhtml"), **locked)
    assert look(path).kinds == [(0, "encrypted book")]


def test_a_chapter_in_utf_16_keeps_its_text(tmp_path):
    path = tmp_path / "a.epub"
    write_epub(path, {"1.xhtml": chapter(1).replace("utf-8", "utf-16").encode("utf-16")})
    assert look(path).texts == ["Chapter 1\n\nWhat is told in chapter 1, naïvely."]
