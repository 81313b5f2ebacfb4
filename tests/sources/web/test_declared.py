"""What a page says of itself: only what a parser of HTML makes an element of counts."""

import json
from html import escape

import pytest
from resiliparse.parse.html import HTMLTree

from tests.support.corpora import documents_of
from tests.support.linear import grows_linearly
from winnow.sources.source import SourceConfig
from winnow.sources.web.declared import LEFT_OUT, MOST_LINK_BYTES, MOST_LINKS, Declared, attributes_of, opt_out_of
from winnow.sources.web.records import page_fields
from winnow.sources.web.tags import LINK, META, A, tags_of

BY = '<a href="https://creativecommons.org/licenses/by/4.0/">CC</a>'
NOAI = '<meta name="robots" content="noai">'


def opt_out(html: str) -> str | None:
    return Declared(html, links=False).opt_out({})


def licence(html: str) -> str | None:
    return Declared(html).licence()


@pytest.mark.parametrize(
    ("around", "counts"),
    [
        ("{}", True),
        ("<p title='<!--'>{}", True),
        ("<!-->{}-->", True),
        ("<!--->{}-->", True),
        ("<!-- a --!>{}", True),
        ("<noscript>{}</noscript>", True),
        ("<template><template></template></template>{}", True),
        ("<script><!-- </script>{}", True),
        ("<script/></script>{}", True),
        ("<svg><style/></svg>{}", True),
        ("<svg><title/></svg>{}", True),
        ("<svg><![CDATA[ > ]]></svg>{}", True),
        ("<title>a</title>{}", True),
        ("</ >{}", True),
        ("< script>{}", True),
        ("<scripts>{}", True),
        ("<!-- {} -->", False),
        ("<!-- -- > {} -->", False),
        ("<!-- {}", False),
        ("<!--[if IE]>{}<![endif]-->", False),
        ("<script>{}</script>", False),
        ("<SCRIPT type='text/template'>{}</SCRIPT >", False),
        ("<script>'</scripts>{}'</script>", False),
        ("<script><!-- <script> </script>{}</script>", False),
        ("<style>{}</style>", False),
        ("<textarea>{}</textarea>", False),
        ("<title>{}</title>", False),
        ("<xmp>{}</xmp>", False),
        ("<iframe>{}</iframe>", False),
        ("<noembed>{}</noembed>", False),
        ("<noframes>{}</noframes>", False),
        ("<plaintext>{}", False),
        ("<template>{}</template>", False),
        ("<template><template></template>{}</template>", False),
        ("<svg><![CDATA[ > {} ]]></svg>", False),
        ("<p title='{}'>", False),
        ("<p title=\"</p>\n\" alt='{}'>", False),
    ],
)
def test_only_elements_of_the_page_count(around: str, counts: bool) -> None:
    """Each of these is what resiliparse's parser (Lexbor) makes of it, too."""
    for inside, found in ((BY, licence), (NOAI, opt_out)):
        inside = inside.replace('"', "" if "'" in around and not counts else '"')
        html = f"<html><body>{around.format(inside)}<p>x"
        tag = inside[1:].split()[0]
        tree = HTMLTree.parse(html)
        assert bool(tree.document.query_selector_all(f"{tag}[href], {tag}[content]")) == counts
        assert (found(html) is not None) == counts, html


def test_tags_are_those_of_a_parser_on_real_pages(shared) -> None:
    """Of Lexbor: the same elements; it repeats links that are not closed."""
    looked = links = 0
    for document in documents_of(shared / "corpus" / "05-readability-pages.jsonl.zst"):
        html = document["text"]
        if html.count("<a ") > 60 or len(html) > 60_000:  # its list of elements takes quadratic time
            continue
        tree = HTMLTree.parse(html)
        ours: dict[int, list[str]] = {}
        for tag in tags_of(html.encode()):
            ours.setdefault(tag.kind, []).append(json.dumps(attributes_of(tag.attributes.decode()), sort_keys=True))
        for kind, name in ((META, "meta"), (LINK, "link"), (A, "a")):
            theirs = [
                json.dumps({key: element[key] for key in element.attrs}, sort_keys=True)
                for element in tree.document.get_elements_by_tag_name(name)
            ]
            assert set(ours.get(kind, [])) == set(theirs)
            assert kind == A or len(ours.get(kind, [])) == len(theirs)
        titles = tree.document.get_elements_by_tag_name("title")
        assert Declared(html).title() == (" ".join(titles[0].text.split()) if titles else None)
        looked, links = looked + 1, links + len(ours.get(A, []))
    assert looked >= 60 and links >= 500


@pytest.mark.parametrize(
    ("html", "found"),
    [
        (BY.replace("by/", "by-sa/"), "CC-BY-SA-4.0"),
        (BY + BY.replace("https:", "").replace("by/4.0/", "by/4.0/deed.de"), "CC-BY-4.0"),
        (BY + BY.replace("by/", "by-sa/"), "unclear"),
        ('<link rel="LICENSE x" href="https://creativecommons.org/publicdomain/zero/1.0/">', "CC0-1.0"),
        ('<area href="http://www.creativecommons.org/publicdomain/mark/1.0/">', "CC-PDM-1.0"),
        (
            '<meta name="DC.rights" content="CC, https://creativecommons.org/licenses/by-nc-nd/3.0/de/">',
            "CC-BY-NC-ND-3.0",
        ),
        ('<a href="https://creativecommons.org/licenses/by-nc">', "CC-BY-NC"),
        ("<p>none, https://creativecommons.org/licenses/by/4.0/</p>", None),
        ('<link rel="canonical" href="https://creativecommons.org/licenses/by/4.0/">', None),
        ('<meta name="description" content="https://creativecommons.org/licenses/by/4.0/">', None),
        ('<a href="https://share.example/?u=https://creativecommons.org/licenses/by/4.0/">', None),
        ('<a href="https://notcreativecommons.org/licenses/by/4.0/">', None),
        ('<a href="https://creativecommons.org.example/licenses/by/4.0/">', None),
        ('<a href="https://creativecommons.org/licenses/">', None),
        ('<a href="https://creativecommons.org/licenses/publicdomain/">', None),
        ('<a href="https://creativecommons.org/licenses/GPL/2.0/">', None),
        ('<a data-href="https://creativecommons.org/licenses/by/4.0/">', None),
    ],
)
def test_licences(html: str, found: str | None) -> None:
    assert licence(html) == found


def test_signals_against_training() -> None:
    assert opt_out("<meta name=robots content='noindex, NoAI'>") == "noai"
    assert opt_out("<META CONTENT='no&#97;i,noarchive' NAME=Robots>") == "noai, noarchive"
    assert opt_out("x" * 300_000 + "<meta name='tdm-reservation' content='1'>") == "tdm-reservation"
    assert opt_out("<meta name=robots content='index, nofollow'><meta name=description content=noai>") is None
    assert opt_out_of({"x-robots-tag": "noai, noimageai"}) == "noai, noimageai"
    headers = {"tdm-reservation": "1", "content-usage": "train-ai=n"}
    assert opt_out_of(headers) == "content-usage: train-ai=n, tdm-reservation"
    assert Declared(NOAI).opt_out({"x-robots-tag": "all"}) == "noai"


def test_title_and_language_are_those_of_the_page() -> None:
    html = (
        "<!-- <html lang=de><title>no</title> --><!doctype html><html class=a lang='pt-BR'>"
        "<svg><title>drawing</title></svg><title a=b>A &amp; <b>\n B</title><title>2</title>"
    )
    page = Declared(html)
    assert (page.title(), page.language({})) == ("A & <b> B", "pt-br")
    assert Declared("<p>x").title() is None
    assert Declared("<p>x").language({"content-language": "de-AT, en"}) == "de-at"
    assert Declared("<html lang='{{ x }}'>").language({}) is None
    assert len(Declared(f"<title>{'x' * 9999}").title() or "") == 1000


def test_links_are_addresses_with_their_texts() -> None:
    html = (
        "<base href='/docs/'><a href='a.html?x=1&copy=2&amp;y'> the <b>first</b>\n<br>one &lt;</a>"
        "<a href='//b.example/ü'>second<a href='../c'>third<script>no</script></a>"
        "<area href=d alt='a map'><a href='\n https://e.ex\nample/ '><img alt=no></a>"
        "<a href=#top>no</a><a href=mailto:x@example.org>no</a><a href='http://[::1'>no</a><a>none</a>"
        "<a href=javascript:f()>no</a>"
    )
    page = Declared(html)
    found, left_out = page.links("https://site.example/x/page")
    assert [tuple(link) for link in found] == [
        ("https://site.example/docs/a.html?x=1&copy=2&y", "the first one <"),
        ("https://b.example/ü", "second"),
        ("https://site.example/c", "third"),
        ("https://site.example/docs/d", "a map"),
        ("https://e.example/", ""),
    ]
    assert (left_out, page.link_count()) == (1, 9)
    assert Declared("<a href=x>").links(None) == ([], 1)
    assert [link.url for link in Declared("<a href=x><a href=http://y/>").links("file:///a")[0]] == ["http://y/"]


def test_links_of_real_pages_are_resolved_as_by_lxml(shared) -> None:
    lxml = pytest.importorskip("lxml.html", reason="needs lxml (extra dev)")
    base, seen = "https://site.example/a/b?c", 0
    for document in documents_of(shared / "corpus" / "05-readability-pages.jsonl.zst"):
        given = [e.get("href") or "#" for e in lxml.fromstring(document["text"]).iter("a")]
        page = "<p>" + "".join(f"<a href='{escape(href)}'>x</a>" for href in given if not href.startswith("#"))
        tree = lxml.fromstring(page)
        tree.make_links_absolute(base)
        theirs = [address for _, _, address, _ in tree.iterlinks() if address.startswith("http")]
        found, left_out = Declared(page).links(base)
        assert [link.url for link in found] == theirs[:MOST_LINKS]
        assert len(found) + left_out == len(theirs)
        seen += len(found)
        if seen > 2_000:
            return
    raise AssertionError(f"{seen} links")


def test_links_are_bounded_and_what_is_left_out_is_told() -> None:
    source = SourceConfig(name="s", path="-", keep=("links", "link_count"), extract="raw")
    many = "".join(f"<a href=/{n}>{n}</a>" for n in range(MOST_LINKS + 5))
    fields, notes = page_fields(many.encode(), source, address="http://x.example/")
    assert (len(json.loads(fields["links"])), fields["link_count"], notes) == (
        MOST_LINKS,
        str(MOST_LINKS + 5),
        [LEFT_OUT],
    )
    long = "".join(f"<a href=/{'y' * 1900}{n}>z</a>" for n in range(500))
    found = json.loads(page_fields(long.encode(), source, address="http://x.example/")[0]["links"])
    assert sum(len(link["url"]) + len(link["text"]) for link in found) <= MOST_LINK_BYTES and len(found) > 100
    few, notes = page_fields(b"<a href=/a>b</a>", source, address="http://x.example/")
    assert few["links"] == '[{"url":"http://x.example/a","text":"b"}]' and notes == []
    plain, notes = page_fields(b"<a href=/a>b</a>", source, html=False)
    assert (plain["links"], plain["link_count"], plain["title"], notes) == (None, None, None, [])
    assert "links" not in page_fields(many.encode(), SourceConfig(name="s", path="-"))[0]


@pytest.mark.parametrize(
    "piece",
    [
        *("<", "<a ", "<a href='", "<!--", "<!-- --", "<script>", "<script><!--<script>", "</script", "&copy", "<svg>"),
        *("<template>", "<title>", "<a href=x>", "<a href=x><br>", "<meta name=robots content=noai>", "<![CDATA["),
        *("<a\n=", "<base href=x>", "<style><!--", "<a href=http://a:b@[::"),
    ],
)
def test_hostile_pages_take_linear_time(piece: str) -> None:
    def look(size: int) -> None:
        page = Declared(piece * (size // len(piece)))
        page.title(), page.licence(), page.opt_out({}), page.language({}), page.links("http://x/"), page.link_count()

    assert grows_linearly(look, 40_000, 320_000)
