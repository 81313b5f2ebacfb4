"""Charts as SVG: specifications in Vega-Lite, drawn by vl-convert, without a browser and without a request.

Names in a chart come from the corpus: they are cut short, and characters that one could not see are spelled out. Text
and lines take the page's own colour, so one drawing does for light and dark.

Source: Vega-Lite 5, https://vega.github.io/vega-lite/docs/.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from xml.etree import ElementTree

from winnow.engine.records import Json
from winnow.report.page.draw_process import as_svg
from winnow.report.page.drawing import begin_drawing
from winnow.report.safe_html import spelled

_INK = "#010203"
"""Stands for the page's colour of text until the drawing is done."""
_DRAWING = frozenset(("svg", "g", "path", "line", "rect", "text", "tspan", "title", "defs", "clipPath", "symbol"))
"""Elements that a chart is made of."""
LONGEST_NAME = 28
_PALETTE = ("#2f6fb0", "#d9822b", "#7a5ea8", "#3d8f84", "#a08a2e", "#7d8894", "#b0567c")
_KEPT, _DROPPED, _OTHER = "#3a9a5b", "#c9553f", "#a9b4bf"
_COLOURS = {
    "kept": _KEPT,
    "passes": _KEPT,
    "goes on": _KEPT,
    "ends here": _DROPPED,
    "filtered": _DROPPED,
    "dropped": _DROPPED,
    "fails this rule": _DROPPED,
    "fails another rule": _OTHER,
}


class Drawing:
    """A chart as an element of the page: drawn by the time that the page asks for it."""

    def __init__(self, specification: Json) -> None:
        self.specification = specification
        """That it is drawn from, in Vega-Lite."""
        self._drawn_from = {**specification, "config": _CONFIG}
        self._beside = begin_drawing(self._drawn_from)

    def __html__(self) -> str:
        """The element; vl-convert escapes names.

        Raises:
            ValueError: it holds what no drawing needs (a link, a script, another file).
        """
        svg = (as_svg(self._drawn_from) if self._beside is None else self._beside.result()).replace(
            _INK, "currentColor"
        )
        for element in ElementTree.fromstring(svg).iter():  # noqa: S314 - made by vl-convert, without a document type
            name = element.tag.rpartition("}")[2]
            if name not in _DRAWING or any(key.startswith("on") or key.endswith("href") for key in element.attrib):
                raise ValueError(f"a chart holds <{name}>, which no drawing needs")
        return svg


def are_drawn() -> bool:
    """Whether the package that draws is installed (extra ``report``)."""
    return find_spec("vl_convert") is not None


def short(name: str) -> str:
    """A name that fits into a chart."""
    plain = spelled(" ".join(name.split()))
    return plain if len(plain) <= LONGEST_NAME else f"{plain[: LONGEST_NAME - 1]}…"


def stacked_bars(rows: Sequence[tuple[str, str, float]], kinds: Sequence[str], unit: str, *, share: bool) -> Drawing:
    """Horizontal bars, one a name, made of kinds.

    Args:
        rows: name, kind and amount; names in the order in which they are drawn.
        kinds: from left to right.
        unit: what an amount is of.
        share: whether each bar is as long as the others, and its parts are shares.
    """
    labels = _labels([name for name, _, _ in rows])
    values = [
        {"name": labels[name], "kind": kind, "amount": amount, "at": kinds.index(kind)} for name, kind, amount in rows
    ]
    stack, form = ("normalize", "%") if share else ("zero", "~s")
    return Drawing(
        {
            "data": {"values": values},
            "mark": "bar",
            "width": 560,
            "height": {"step": 22},
            "encoding": {
                "x": _quantity("amount", unit, axis={"format": form}, stack=stack),
                "y": {"field": "name", "type": "nominal", "sort": list(labels.values()), "title": None},
                "color": _colour(kinds),
                "order": {"field": "at", "type": "quantitative"},
            },
        }
    )


def histogram(
    edges: Sequence[float],
    kinds: Mapping[str, Sequence[int]],
    title: str,
    line: float | None = None,
    *,
    log: bool = False,
) -> Drawing:
    """Documents by value, stacked by kind, with a line at the threshold.

    Args:
        edges: B + 1, rising; positive if ``log``.
        kinds: by name, B counts.
        title: of the value.
        line: where one is drawn.
        log: whether the value's axis is logarithmic.
    """
    values, height = [], [0] * (len(edges) - 1)
    for kind, counts in kinds.items():
        for at, count in enumerate(counts):
            if count:  # stacked here: Vega-Lite stacks no bars whose ends are given
                below, height[at] = height[at], height[at] + count
                ends = {"low": edges[at], "high": edges[at + 1], "from": below, "to": height[at]}
                values.append({**ends, "kind": kind})
    scale = {"type": "log" if log else "linear", "domain": [edges[0], edges[-1]], "nice": False}
    form = "~s" if edges[-1] > 10 else "~g"
    bars = {
        "data": {"values": values},
        "mark": "rect",
        "encoding": {
            "x": _quantity("low", title, axis={"format": form, "tickCount": 6}, scale=scale),
            "x2": {"field": "high"},
            "y": _quantity("from", "documents", axis={"format": "~s", "tickCount": 4}),
            "y2": {"field": "to"},
            "color": _colour(list(kinds)),
        },
    }
    layers = [bars]
    if line is not None and edges[0] <= line <= edges[-1]:
        mark = {"type": "rule", "color": _DROPPED, "strokeDash": [5, 3], "strokeWidth": 2}
        there = {"x": _quantity("at", title, scale=scale)}
        layers.append({"data": {"values": [{"at": line}]}, "mark": mark, "encoding": there})
    return Drawing({"layer": layers, "width": 460, "height": 130})


def curves(points: Sequence[tuple[str, float, float]], x: str, y: str) -> Drawing:
    """A line a name through its points (name, x, y), which need not be in order; x and y are titles of the axes."""
    labels = _labels([name for name, _, _ in points])
    values = [{"kind": labels[name], "x": across, "y": up} for name, across, up in points]
    return Drawing(
        {
            "data": {"values": values},
            "mark": {"type": "line", "strokeWidth": 1.5},
            "width": 560,
            "height": 240,
            "encoding": {
                "x": _quantity("x", x, axis={"format": "~s"}),
                "y": _quantity("y", y, scale={"zero": False}),
                "color": _colour(list(labels.values())),
            },
        }
    )


def points_and_ranges(
    points: Sequence[tuple[str, float]], ranges: Sequence[tuple[str, float, float]], title: str
) -> Drawing:
    """A row a name, with a mark for each of its points and a line for its range (name, low, high).

    Args:
        points: names and values.
        ranges: at most one a name.
        title: of the values.
    """
    labels = _labels([name for name, _ in points])
    named = {"field": "name", "type": "nominal", "sort": list(labels.values()), "title": None}
    lines = [{"name": labels[name], "low": low, "high": high} for name, low, high in ranges]
    layers: list[Json] = [
        {
            "data": {"values": lines},
            "mark": {"type": "rule", "strokeWidth": 5, "color": _OTHER},
            "encoding": {
                "x": _quantity("low", title, scale={"zero": False}), "x2": {"field": "high"}, "y": named,
            },
        },
        {
            "data": {"values": [{"name": labels[name], "at": at} for name, at in points]},
            "mark": {"type": "point", "filled": True, "size": 45, "color": _PALETTE[0]},
            "encoding": {"x": _quantity("at", title, scale={"zero": False}), "y": named},
        },
    ]  # fmt: skip
    return Drawing({"layer": layers, "width": 520, "height": {"step": 26}})


def _quantity(field: str, title: str, **more: object) -> Json:
    return {"field": field, "type": "quantitative", "title": title, **more}


def _labels(names: Sequence[str]) -> dict[str, str]:
    """Names as they are drawn; two that are cut to the same stay apart."""
    labels: dict[str, str] = {}
    for name in dict.fromkeys(names):
        label = short(name)
        labels[name] = f"{label} ({len(labels) + 1})" if label in labels.values() else label
    return labels


def _colour(kinds: Sequence[str]) -> Json:
    free = iter(_PALETTE * (1 + len(kinds) // len(_PALETTE)))
    colours = [_COLOURS[kind] if kind in _COLOURS else next(free) for kind in kinds]
    return {
        "field": "kind",
        "type": "nominal",
        "sort": list(kinds),
        "scale": {"domain": list(kinds), "range": colours},
        "title": None,
        "legend": {} if len(kinds) > 1 else None,
    }


_CONFIG = {
    "background": "transparent",
    "padding": {
        "left": 18,
        "right": 6,
        "top": 5,
        "bottom": 5,
    },  # a browser's letters are wider than those measured here
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": _INK,
        "titleColor": _INK,
        "tickColor": _INK,
        "domainColor": _INK,
        "gridColor": _INK,
        "gridOpacity": 0.12,
        "titleFontWeight": "normal",
        "labelLimit": 220,
        "labelFontSize": 12,
        "titleFontSize": 12,
    },
    "legend": {
        "labelColor": _INK,
        "titleColor": _INK,
        "orient": "bottom",
        "columns": 4,
        "columnPadding": 30,
        "labelFontSize": 12,
    },
}


def on_white(specification: Json) -> Json:
    """The same for a page of its own: dark on white, with nothing left to who shows it."""
    config = json.loads(json.dumps(_CONFIG).replace(_INK, "#1d2733")) | {"background": "white"}
    return {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", **specification, "config": config}
