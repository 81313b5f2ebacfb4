"""The page of a run inside a notebook: in a frame of its own, which runs nothing and asks nobody for anything."""

from collections.abc import Iterator
from functools import cached_property
from html import escape
from pathlib import Path

from winnow.engine.records import Json
from winnow.errors import ConfigError
from winnow.flow.records import RunRecords
from winnow.report.page import charts
from winnow.report.page.draw_process import as_svg
from winnow.report.page.drawing import drawn_beside
from winnow.report.page.page import page_with, parts_of
from winnow.report.page.parts import Part
from winnow.report.page.sample import Sample, take_sample

HEIGHT = 640
"""Pixels of the frame; the page scrolls in it."""


class Chart:
    """A chart of the page. A notebook shows it where it is a cell's last value."""

    def __init__(self, caption: str, drawn_from: Json) -> None:
        self.caption = caption
        self.specification: Json = charts.on_white(drawn_from)
        """In Vega-Lite, with its data: ``altair.Chart.from_dict(chart.specification)`` is an Altair chart."""

    def __repr__(self) -> str:
        """What it shows."""
        return f"<chart: {self.caption}>"

    @cached_property
    def svg(self) -> str:
        """The drawing."""
        return as_svg(self.specification)

    def _repr_svg_(self) -> str:
        return self.svg


class RunReport:
    """The page of a finished run. A notebook shows it where it is a cell's last value."""

    def __init__(self, run: RunRecords) -> None:
        self._run = run

    def __repr__(self) -> str:
        """Whose it is."""
        return f"<report of {self._run.config.run}>"

    @cached_property
    def html(self) -> str:
        """The whole page, as ``winnow report`` writes it."""
        return page_with(self._run, self._sample, self._parts, draw=charts.are_drawn())

    def save(self, path: str | Path) -> None:
        """Write the page into a file."""
        Path(path).write_text(self.html, encoding="utf-8")

    @cached_property
    def charts(self) -> dict[str, Chart]:
        """The charts by the title of their section, those of rules by the rule's name, in the order of the page.

        Raises:
            ConfigError: nothing can be drawn here.
        """
        if not charts.are_drawn():
            raise ConfigError("charts need the extra `report`: pip install 'winnow-corpus[report]'")
        found: dict[str, Chart] = {}
        for part in _each(self._parts):
            for number, figure in enumerate(part.figures):
                title = f"{part.title} ({number + 1})" if number else part.title
                found[title] = Chart(figure.caption, figure.svg.specification)
        return found

    def _repr_html_(self) -> str:
        # corpus text is in it: the frame may run nothing, whatever the page's own policy says
        page = escape(self.html, quote=True)
        style = f"width: 100%; height: {HEIGHT}px; border: 1px solid #8884"
        return f'<iframe sandbox="" srcdoc="{page}" style="{style}" title="report of a run"></iframe>'

    @cached_property
    def _sample(self) -> Sample:
        return take_sample(self._run)

    @cached_property
    def _parts(self) -> list[Part]:
        draw = charts.are_drawn()
        with drawn_beside(draw=draw):
            return parts_of(self._run, self._sample, draw=draw)


def _each(parts: list[Part]) -> Iterator[Part]:
    for part in parts:
        yield part
        yield from _each(part.parts)
