"""Text from the corpus in the HTML pages: shown, never obeyed."""

import base64
import hashlib
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from winnow.audit.clusters import Cluster
from winnow.audit.dedup import DedupAudit
from winnow.audit.intervals import share_of
from winnow.audit.losses import Loss, Losses
from winnow.audit.page import dedup_page, splits_page
from winnow.audit.planted import Planted
from winnow.audit.removed import Removed, Violation
from winnow.audit.splits import SplitOverlap, SplitPair, SplitsAudit
from winnow.audit.tables import headline, splits_headline
from winnow.audit.twins import LeftPair, Twins
from winnow.report.safe_html import spelled, visible

ROOT = Path(__file__).parents[2]
HOSTILE = "</pre></td><script>alert('x')</script><img src=x onerror=\"alert(1)\"> & &lt;b&gt; <!-- \x1b[31m \u202e"


class Reader(HTMLParser):
    """Tags and attributes that a browser would see, and the text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.meta: list[dict] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "meta":
            self.meta.append(dict(attrs))
        else:
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
    pieces = (("same", "before "), ("lost", HOSTILE), ("cut", "9 characters"), ("same", HOSTILE))
    loss = Loss(1, HOSTILE, 2, HOSTILE, 0.9, 0.95, 7, None, pieces)
    return DedupAudit(
        HOSTILE, 1, "signature", 0.8, 32, 8, 256, 5,
        Twins(1, 1, 1, (), (), share, 0, 1, (LeftPair(HOSTILE, HOSTILE, 1, 2, 0.9, True),)),
        Removed(1, share, share, (), 0.5, 0, 1, (Violation(HOSTILE, 1, 2, "its keeper is not kept"),)),
        Planted(0, (), ()),
        Losses(True, 1, 0, 7.0, 7.0, 7.0, 7, 0, 0.9, {"script": 1}, 0, (loss,)),
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
    assert reader.tags <= ours | {"pre", "mark", "span"}
    assert reader.attributes <= {"class", "charset", "lang", "scope", "dir", "http-equiv", "name", "content"}
    assert "<script>alert('x')</script>" in reader.text
    assert "&lt;b&gt;" in reader.text
    assert "\x1b" not in page and "\u202e" not in page
    assert "\\x1b[31m \\u202e" in reader.text


def test_what_differs_is_marked():
    page = dedup_page(hostile_audit())
    assert '<pre dir="auto">same <mark>' in page


@pytest.mark.parametrize("page", [dedup_page(hostile_audit()), splits_page(hostile_splits())])
def test_the_policy_allows_the_style_sheet_and_nothing_else(page):
    (policy,) = [meta["content"] for meta in read(page).meta if meta.get("http-equiv") == "Content-Security-Policy"]
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert page.index("Content-Security-Policy") < page.index("<title>")  # before anything of the corpus
    assert "style=" not in page and "</style>" in page


def test_the_headline_is_said_once():
    for audit, page, sentence in (
        (hostile_audit(), dedup_page, headline),
        (hostile_splits(), splits_page, splits_headline),
    ):
        assert read(page(audit)).text.count(spelled(sentence(audit))) == 1


def test_what_cannot_be_seen_is_a_mark():
    assert visible("a\tb\nc \u05d0 \u200d\U0001f468") == "a\tb\nc \u05d0 \u200d\U0001f468"  # all of it is text
    assert visible("<\x1b>") == '&lt;<span class="sign">\\x1b</span>&gt;'
    for hidden in "\x00\r\x7f\x9b\u061c\u200b\u200e\u2028\u202e\u2066\ufeff\ufffe\udcff\U000e0041":
        assert visible(f"a{hidden}") == f'a<span class="sign">{hidden.encode("unicode_escape").decode()}</span>'
    assert visible("\\x1b") == "\\x1b"  # written out, it has no frame


def test_a_title_holds_no_markup():
    page = dedup_page(hostile_audit())
    title = page.partition("<title>")[2].partition("</title>")[0]
    assert "<" not in title and "\\x1b" in title


def test_the_files_of_the_page_are_in_the_wheel():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    folder = ROOT / "pipeline" / "winnow" / "audit"
    assert sorted(settings["winnow.audit"]) == sorted(p.name for p in folder.iterdir() if p.suffix in (".html", ".css"))
