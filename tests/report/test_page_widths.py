"""The page in a real browser, at the width of a phone, a laptop and a wide screen, compared by structure."""

import json
import struct

import pytest

from tests.support.chromium import CHROMIUM, Browser
from tests.support.configs import run_config, source_of
from tests.support.corpora import articles
from winnow.config.config import parse_config
from winnow.runs.run import run

pytest.importorskip("vl_convert", reason="the extra `report` is not installed: nothing draws charts")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")]
WIDTHS = {"phone": 390, "laptop": 1280, "wide": 2200}


@pytest.fixture(scope="module")
def looks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("widths")
    sources = []
    for number in range(12):
        name = f"{number}-source-with-a-very-long-name-that-no-column-of-a-phone-can-hold"
        texts = [*articles(number, 12), *articles(99, 6), "long-" * 400 + str(number)]
        lines = [json.dumps({"id": f"{number}-{n}", "text": text}) for n, text in enumerate(texts)]
        (folder / f"{number}.jsonl").write_text("\n".join(lines))
        sources.append(source_of(folder / f"{number}.jsonl", name, id="id"))
    rules = {"mode": "filter", "gopher_quality": {"min_words": 120}, "gopher_repetition": "off"}
    shards = {"sequence_tokens": 127, "splits": {"val": 0.1}}
    run(parse_config(run_config(folder / "run", *sources, filter=rules, shards=shards, report=True)))
    page = f"file://{folder / 'run' / 'reports' / 'report.html'}"
    with Browser(folder / "profile") as browser:
        return {name: browser.look(page, width, phone=name == "phone") for name, width in WIDTHS.items()}


def of(look, tag, kind=None):
    return [box for box in look.boxes if box.tag == tag and kind in (None, box.of)]


@pytest.mark.parametrize("name", WIDTHS)
def test_nothing_is_wider_than_the_window_but_what_scrolls_by_itself(looks, name):
    look = looks[name]
    assert look.complaints == []
    assert look.width <= WIDTHS[name]
    beyond = [
        box
        for box in look.boxes
        if box.x + box.width > WIDTHS[name] + 1 and "div.wide" not in box.inside and "svg" not in (box.tag, *box.inside)
    ]
    assert [box for box in beyond if " svg." not in box.inside] == []
    # on a phone charts keep a size that can be read, and scroll in their figures
    kept = of(look, "figure") if name == "phone" else of(look, "svg")
    assert kept and all(box.x >= 0 and box.x + box.width <= WIDTHS[name] for box in kept)
    assert all(box.width >= 300 for box in of(look, "svg"))


def test_each_width_has_the_same_sections_in_their_order(looks):
    headings = {name: [box.of for box in of(look, "section")] for name, look in looks.items()}
    assert len(headings["phone"]) >= 7
    assert len({tuple(sections) for sections in headings.values()}) == 1
    for look in looks.values():
        tops = [box.y for box in of(look, "section")]
        assert tops == sorted(tops) and all(box.height > 40 for box in of(look, "section"))
        ends = [box.y + box.height for box in of(look, "section")]
        assert all(end <= top + 1 for end, top in zip(ends, tops[1:], strict=False))
    counts = {name: len(look.boxes) for name, look in looks.items()}
    assert max(counts.values()) - min(counts.values()) < 0.02 * max(counts.values())  # nothing is left out anywhere


def columns(boxes) -> int:
    """Different left ends."""
    return len({round(box.x) for box in boxes})


def test_columns_follow_the_width(looks):
    tiles = {name: columns(of(look, "div", "tile")) for name, look in looks.items()}
    assert tiles["phone"] < tiles["laptop"] == tiles["wide"] == 4
    inside = {"charts": ("figure", "section.part-1"), "pairs": ("pre", "div.pair")}
    for tag, where in inside.values():
        found = {
            name: columns([box for box in of(look, tag) if where in box.inside.split()]) for name, look in looks.items()
        }
        assert found == {"phone": 1, "laptop": 2, "wide": 2}, tag
    assert looks["phone"].height > looks["laptop"].height


def test_pictures_show_something(looks):
    for name, look in looks.items():
        assert struct.unpack(">II", look.picture[16:24]) == (WIDTHS[name], 900)  # of a PNG's header
        assert len(look.picture) > 40_000  # a page of one colour takes a tenth of it
