"""Text from the corpus in the HTML pages: shown, never obeyed."""

from html.parser import HTMLParser

import pytest

from winnow.audit.clusters import Cluster
from winnow.audit.dedup import DedupAudit
from winnow.audit.intervals import share_of
from winnow.audit.page import dedup_page, element, splits_page
from winnow.audit.planted import Planted
from winnow.audit.removed import Removed, Violation
from winnow.audit.splits import SplitOverlap, SplitPair, SplitsAudit
from winnow.audit.twins import LeftPair, Twins

HOSTILE = "</pre></td><script>alert('x')</script><img src=x onerror=\"alert(1)\"> & &lt;b&gt; <!-- \x1b[31m \u202e"


class Reader(HTMLParser):
    """Tags and attributes that a browser would see, and the text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def hostile_audit() -> DedupAudit:
    share = share_of(1, 2)
    cluster = Cluster(1, HOSTILE, 2, 0, {HOSTILE: 2}, 0.8, 0.9, 2, HOSTILE, 0.85, 0, "same " + HOSTILE, "same b")
    return DedupAudit(
        HOSTILE, 1, "signature", 0.8, 32, 8, 256, 5,
        Twins(1, 1, 1, (), (), share, 0, 1, (LeftPair(HOSTILE, HOSTILE, 1, 2, 0.9, True),)),
        Removed(1, share, share, (), 0.5, 0, 1, (Violation(HOSTILE, 1, 2, "its keeper is not kept"),)),
        Planted(0, (), ()),
        (cluster,),
        (f"source {HOSTILE} lost",),
    )  # fmt: skip


def hostile_splits() -> SplitsAudit:
    share = share_of(1, 2)
    pair = SplitPair(HOSTILE, HOSTILE, HOSTILE, "train", 1, 2, 0.9, False, HOSTILE, HOSTILE * 2, 0.001)
    return SplitsAudit(
        HOSTILE,
        0.8,
        0.8,
        {HOSTILE: 1},
        (SplitOverlap(HOSTILE, 1, share, share),),
        1,
        1,
        (pair,),
        {HOSTILE: 1},
        1,
        (HOSTILE,),
    )


@pytest.mark.parametrize("page", [dedup_page(hostile_audit()), splits_page(hostile_splits())])
def test_hostile_text_is_text(page):
    reader = read(page)
    ours = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "table", "tr", "th", "td", "div"}
    assert reader.tags <= ours | {"pre", "mark"}
    assert reader.attributes <= {"class", "charset"}
    assert "<script>alert('x')</script>" in reader.text
    assert "&lt;b&gt;" in reader.text
    assert "\x1b" not in page and "\u202e" not in page
    assert "\\x1b[31m \\u202e" in reader.text


def test_what_differs_is_marked():
    page = dedup_page(hostile_audit())
    assert "<pre>same <mark>" in page


def test_elements_escape_strings_only():
    assert element("p", "<b>", element("i", "&")).markup == "<p>&lt;b&gt;<i>&amp;</i></p>"
