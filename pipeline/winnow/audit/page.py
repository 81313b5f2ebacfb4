"""The audits as one self-contained HTML file each: page.html and page.css, filled in by Jinja (see safe_html)."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment

from winnow.audit.dedup import DedupAudit
from winnow.audit.group_results import GroupsAudit
from winnow.audit.group_tables import groups_headline, groups_tables
from winnow.audit.losses import Loss
from winnow.audit.passages import PassagesAudit, passages_headline, passages_tables
from winnow.audit.splits import SplitsAudit
from winnow.audit.tables import TableOf, dedup_tables, headline, splits_headline, splits_tables
from winnow.looking.passages import RepeatedPassage
from winnow.report.differences import Piece, differences
from winnow.report.page.parts import Figure
from winnow.report.safe_html import environment_of

_HERE = Path(__file__).parent


def dedup_page(audit: DedupAudit) -> str:
    """The audit of deduplication."""
    return page_of(
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
    return page_of(
        "Splits audit",
        audit.run,
        splits_headline(audit),
        good=not audit.at_threshold,
        tables=splits_tables(audit),
    )


def groups_page(audit: GroupsAudit) -> str:
    """The audit of groups."""
    note = f"; what was done: {audit.note}" if audit.note else ""
    return page_of(
        "Groups audit",
        audit.run,
        groups_headline(audit),
        good=not audit.disparate,
        tables=groups_tables(audit),
        settings=f"terms: {audit.terms}{note}",
    )


def passages_page(audit: PassagesAudit) -> str:
    """The audit of repeated passages."""
    return page_of(
        "Repeated passages",
        audit.run,
        passages_headline(audit),
        good=audit.holds,
        tables=passages_tables(audit),
        settings=f"passages of {audit.words:,} words and more",
        passages=audit.most,
    )


def page_of(
    title: str,
    run: str,
    sentence: str,
    *,
    good: bool,
    tables: list[TableOf],
    settings: str = "",
    alarms: tuple[str, ...] = (),
    losses: tuple[Loss, ...] = (),
    passages: tuple[RepeatedPassage, ...] = (),
    clusters: list[tuple[Any, list[Piece], list[Piece]]] | None = None,
    notes: Sequence[str] = (),
    figures: Sequence[Figure] = (),
) -> str:
    """A page of a sentence, figures and tables, with what else there is.

    Args:
        title: of the page.
        run: what it is of.
        sentence: the result.
        good: whether that is what one hopes for.
        tables: in their order.
        settings: how it was measured.
        alarms: each a sentence.
        losses, passages, clusters: texts side by side.
        notes: sentences above the tables.
        figures: charts between the two.
    """
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
            passages=passages,
            clusters=clusters or [],
            notes=notes,
            figures=figures,
        )
    )


@cache
def _environment() -> Environment:
    return environment_of(_HERE, (_HERE / "page.css").read_text(encoding="utf-8"))
