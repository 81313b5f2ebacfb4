"""The page of a run: one self-contained file, made of page.html and page.css by Jinja (see safe_html)."""

from functools import cache
from pathlib import Path

from jinja2 import Environment

from winnow.flow.records import RunRecords
from winnow.report.alarms import alarms_of
from winnow.report.manifest import outcomes_of
from winnow.report.page import charts, sections
from winnow.report.page.drawing import drawn_beside
from winnow.report.page.groups import groups_section
from winnow.report.page.kept import kept_section
from winnow.report.page.mixture import mixture_section
from winnow.report.page.parts import Part
from winnow.report.page.passages import passages_section
from winnow.report.page.rules import rules_section
from winnow.report.page.sample import Sample, take_sample
from winnow.report.reports import Report
from winnow.report.safe_html import environment_of
from winnow.report.summary import summary_of
from winnow.schemas import KEPT

_HERE = Path(__file__).parent


def page_of(run: RunRecords) -> bytes:
    """The page of a finished run."""
    draw = charts.are_drawn()
    with drawn_beside(draw=draw):
        sample = take_sample(run)
        return page_with(run, sample, parts_of(run, sample, draw=draw), draw=draw).encode()


def parts_of(run: RunRecords, sample: Sample, *, draw: bool) -> list[Part]:
    """The sections of the page."""
    found: list[Part | None] = [
        sections.sources_section(run, sample, draw=draw),
        rules_section(run, sample, draw=draw),
        sections.duplicates_section(run, sample, draw=draw),
        passages_section(run),
        sections.languages_section(run, draw=draw),
        sections.lengths_section(sample, draw=draw),
        kept_section(run, sample),
        sections.steps_section(run),
        mixture_section(run),
        sections.rows_section(run),
        groups_section(run),
        sections.stages_section(run),
    ]
    return [part for part in found if part is not None]


def page_with(run: RunRecords, sample: Sample, parts: list[Part], *, draw: bool) -> str:
    """The page with these sections."""
    told = [line for line in summary_of(run) if isinstance(line, str)]
    outcomes = outcomes_of(run)
    read, kept = sum(outcomes.values()), outcomes.get(KEPT, 0)
    tiles = [
        ("records read", f"{read:,}"),
        ("documents kept", f"{kept:,}" + (f" ({kept / read:.1%})" if read else "")),
        ("text", f"{run.total('measure', 'text_bytes') / 1e6:,.1f} MB"),
        ("tokens", f"{run.total('tokenise', 'tokens'):,}"),
    ]
    sampled = (
        f"Histograms, shares and examples are of {len(sample.docs):,} documents, from {sample.parts:,} of "
        f"{len(run.parts):,} parts evenly over the run; numbers of outcomes, languages, rules and sources are of all."
        if sample.parts < len(run.parts)
        else ""
    )
    return (
        _environment()
        .get_template("page.html")
        .render(
            run=run.config.run,
            tiles=tiles,
            alarms=run.once(alarms_of),
            warnings=[line.removeprefix("WARNING: ") for line in told if line.startswith("WARNING: ")],
            parts=parts,
            sampled=sampled,
            drawn=draw,
        )
    )


REPORT = Report(
    "page",
    "report.html",
    page_of,
    lambda config: config.report,
    begin=lambda _config: drawn_beside(draw=charts.are_drawn()),
)


@cache
def _environment() -> Environment:
    return environment_of(_HERE, (_HERE / "page.css").read_text(encoding="utf-8"))
