"""The audits as one self-contained HTML file each: page.html and page.css, filled in by Jinja with autoescape.

What the corpus holds is shown and never obeyed: every value is escaped, characters that would be invisible or turn the
direction of text stand as marks, and the page's own policy allows nothing but its one style sheet: no script, image,
form or request, whatever got in.
"""

import base64
import difflib
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from winnow.audit.dedup import DedupAudit
from winnow.audit.losses import Loss
from winnow.audit.splits import SplitsAudit
from winnow.audit.tables import TableOf, dedup_tables, headline, splits_headline, splits_tables

_HERE = Path(__file__).parent
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad"  # controls but tab and line feed, soft hyphen
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"  # marks and overrides of direction, widths of nothing
    "\ud800-\udfff\ufff9-\uffff\U000e0000-\U000e0fff]"  # no characters, tags
)

Piece = tuple[bool, str]
"""Whether it differs, and the text."""


def spelled(text: str) -> str:
    """Characters that a reader could not see, or that would move others, as escapes such as \\x1b."""
    return _HIDDEN.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def visible(value: Any) -> Any:
    """What a value of the template is shown as: such characters are marks in a frame, unlike text that spells them."""
    if isinstance(value, Markup) or not isinstance(value, str) or not _HIDDEN.search(value):
        return value
    shown, at = Markup(), 0
    for found in _HIDDEN.finditer(value):
        shown += escape(value[at : found.start()])
        shown += Markup('<span class="sign">{}</span>').format(spelled(found.group()))
        at = found.end()
    return shown + escape(value[at:])


def dedup_page(audit: DedupAudit) -> str:
    """The audit of deduplication."""
    return _page(
        "Deduplication audit",
        audit.run,
        headline(audit),
        good=audit.guaranteed,
        tables=dedup_tables(audit),
        settings=f"verify: {audit.verify}, threshold {audit.threshold:g}, {audit.bands:,} bands of {audit.rows:,} rows "
        f"out of {audit.num_perm:,} entries, sets of {audit.ngram} words; sample {audit.seed}",
        alarms=audit.alarms,
        losses=audit.losses.worst,
        clusters=[(cluster, *differences(cluster.keeper_text, cluster.other_text)) for cluster in audit.clusters],
    )


def splits_page(audit: SplitsAudit) -> str:
    """The audit of splits."""
    return _page(
        "Splits audit",
        audit.run,
        splits_headline(audit),
        good=not audit.at_threshold,
        tables=splits_tables(audit),
    )


def _page(
    title: str,
    run: str,
    sentence: str,
    *,
    good: bool,
    tables: list[TableOf],
    settings: str = "",
    alarms: tuple[str, ...] = (),
    losses: tuple[Loss, ...] = (),
    clusters: list[tuple[Any, list[Piece], list[Piece]]] | None = None,
) -> str:
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=title,
            run=run,
            headline=sentence,
            good=good,
            tables=tables,
            settings=settings,
            alarms=alarms,
            losses=losses,
            clusters=clusters or [],
        )
    )


@cache
def _environment() -> Environment:
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        finalize=visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["spelled"] = spelled
    environment.globals["style"] = Markup(style)  # noqa: S704 - a file of this package
    environment.globals["style_hash"] = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment


def differences(a: str, b: str) -> tuple[list[Piece], list[Piece]]:
    """Two excerpts cut where they begin to differ, or to be the same again; by words."""
    words_a, words_b = re.findall(r"\s+|\w+|[^\w\s]", a), re.findall(r"\s+|\w+|[^\w\s]", b)
    left: list[Piece] = []
    right: list[Piece] = []
    for kind, a0, a1, b0, b1 in difflib.SequenceMatcher(None, words_a, words_b, autojunk=False).get_opcodes():
        for side, piece in ((left, "".join(words_a[a0:a1])), (right, "".join(words_b[b0:b1]))):
            if piece:
                side.append((kind != "equal", piece))
    return left, right
