"""The audits as one self-contained HTML file each. Every text passes through ``html.escape``."""

import difflib
import html
import re
from dataclasses import dataclass

from winnow.audit.clusters import Cluster
from winnow.audit.dedup import DedupAudit
from winnow.audit.splits import SplitsAudit
from winnow.audit.tables import TableOf, dedup_tables, headline, splits_headline, splits_tables

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1d2733 }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem } h3 { font-size: 1rem; margin-top: 1.6rem }
table { border-collapse: collapse; margin: .6rem 0 } th, td { padding: .2rem .7rem; text-align: left }
th { border-bottom: 2px solid #9aa7b5 } td { border-bottom: 1px solid #dfe5eb } .number { text-align: right }
.note { color: #55606d; max-width: 60rem } .fault { color: #a4161a; font-weight: 600 } .fine { color: #176b3a }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f4f6f8; padding: .7rem; font-size: 13px; margin: 0 }
mark { background: #ffe08a }
@media (prefers-color-scheme: dark) {
  body { background: #14181d; color: #d8dee6 } pre { background: #1e242b } td { border-color: #2c343d }
  mark { background: #6b5513; color: #fff } .note { color: #9aa7b5 } .fault { color: #ff8a8a } .fine { color: #7fd6a3 }
}
"""

_OBEYED = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]")


@dataclass(frozen=True)
class Html:
    """Markup made here. Strings that are not are escaped wherever they are put."""

    markup: str


Content = str | Html


def element(tag: str, *content: Content, kind: str = "") -> Html:
    """An element; strings in it are escaped."""
    inside = "".join(c.markup if isinstance(c, Html) else html.escape(_visible(c)) for c in content)
    attribute = f' class="{html.escape(kind)}"' if kind else ""
    return Html(f"<{tag}{attribute}>{inside}</{tag}>")


def _visible(text: str) -> str:
    """Control characters, and those that turn the direction of text, are shown and not obeyed."""
    return _OBEYED.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def dedup_page(audit: DedupAudit) -> str:
    """The audit of deduplication."""
    body: list[Content] = [
        element("p", headline(audit), kind="fine" if audit.guaranteed else "fault"),
        *(element("p", f"Alarm: {alarm}", kind="fault") for alarm in audit.alarms),
        *(part for table in dedup_tables(audit) for part in _table(table)),
        element("h2", f"The {len(audit.clusters)} largest clusters, side by side"),
        element(
            "p",
            "Left the document that was kept, right the least similar one that was removed for it. Both begin shortly "
            "before they first differ; what differs is marked.",
            kind="note",
        ),
        *(part for cluster in audit.clusters for part in _cluster(cluster)),
    ]
    return _page("Deduplication audit", audit.run, body)


def splits_page(audit: SplitsAudit) -> str:
    """The audit of splits."""
    body: list[Content] = [
        element("p", splits_headline(audit), kind="fault" if audit.at_threshold else "fine"),
        *(part for table in splits_tables(audit) for part in _table(table)),
    ]
    return _page("Splits audit", audit.run, body)


def _page(title: str, run: str, body: list[Content]) -> str:
    head = element("head", Html('<meta charset="utf-8">'), element("title", f"{title}: {run}"), _style())
    whole = element("html", head, element("body", element("h1", title), element("p", run, kind="note"), *body))
    return f"<!doctype html>\n{whole.markup}\n"


def _style() -> Html:
    return Html(f"<style>{_STYLE}</style>")


def _table(table: TableOf) -> list[Html]:
    def cell(tag: str, column: int, text: str) -> Html:
        return element(tag, text, kind="number" if column in table.numbers else "")

    parts = [element("h2", table.title)]
    if table.note:
        parts.append(element("p", table.note, kind="note"))
    if table.rows:
        rows = [element("tr", *(cell("th", n, name) for n, name in enumerate(table.columns)))]
        rows += [element("tr", *(cell("td", n, text) for n, text in enumerate(row))) for row in table.rows]
        parts.append(element("table", *rows))
    return parts


def _cluster(cluster: Cluster) -> list[Html]:
    sources = ", ".join(f"{name} {number:,}" for name, number in cluster.sources.items())
    true = "" if cluster.other_similarity is None else f", true {cluster.other_similarity:.4f}"
    left, right = _marked(cluster.keeper_text, cluster.other_text)
    return [
        element("h3", f"{cluster.keeper_id}: {cluster.documents:,} documents"),
        element(
            "p",
            f"{sources}; {cluster.exact_copies:,} exact copies; recorded similarity {cluster.lowest:.4f} to "
            f"{cluster.highest:.4f}. Shown from character {cluster.shown_from:,}.",
            kind="note",
        ),
        element(
            "div",
            element("div", element("p", f"kept: {cluster.keeper_id} (number {cluster.keeper})"), left),
            element(
                "div",
                element(
                    "p",
                    f"removed: {cluster.other_id} (number {cluster.other}), similarity {cluster.lowest:.4f}{true}",
                ),
                right,
            ),
            kind="pair",
        ),
    ]


def _marked(a: str, b: str) -> tuple[Html, Html]:
    """Two excerpts with the words that differ marked."""
    words_a, words_b = re.findall(r"\s+|\w+|[^\w\s]", a), re.findall(r"\s+|\w+|[^\w\s]", b)
    left: list[Content] = []
    right: list[Content] = []
    for kind, a0, a1, b0, b1 in difflib.SequenceMatcher(None, words_a, words_b, autojunk=False).get_opcodes():
        for side, piece in ((left, "".join(words_a[a0:a1])), (right, "".join(words_b[b0:b1]))):
            if piece:
                side.append(piece if kind == "equal" else element("mark", piece))
    return element("pre", *left), element("pre", *right)
