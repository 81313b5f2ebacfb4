"""Charts are drawn beside the process that asks for them, and by itself where nobody else does."""

import json
import subprocess
from contextlib import ExitStack

import pytest

from tests.support.configs import run_config, source_of
from tests.support.corpora import articles
from winnow.config.config import parse_config
from winnow.report.page import drawing
from winnow.report.page.charts import Drawing, stacked_bars
from winnow.report.page.draw_process import as_svg
from winnow.report.page.drawing import drawn_beside
from winnow.report.page.page import page_of
from winnow.report.reports import REPORTS, begin_reports
from winnow.runs import run as runs
from winnow.runs.state import load_run

pytest.importorskip("vl_convert", reason="the extra `report` is not installed: nothing draws charts")


def bars(number: int) -> Drawing:
    return stacked_bars([(f"name {number}", "kept", number)], ["kept"], "records", share=False)


def elsewhere(specification):
    raise AssertionError("drawn here")


@pytest.fixture
def started(monkeypatch):
    """The processes that were started, in order."""
    processes = []

    def start(*arguments, **settings):
        processes.append(subprocess.Popen(*arguments, **settings))
        return processes[-1]

    monkeypatch.setattr(drawing, "subprocess", type("Same", (), {"Popen": start, "PIPE": -1, "DEVNULL": -3}))
    return processes


def test_drawings_made_beside_are_those_made_here_and_no_process_is_left(started, monkeypatch):
    here = [bars(number).__html__() for number in (1, 2, 3)]
    monkeypatch.setattr("winnow.report.page.charts.as_svg", elsewhere)
    monkeypatch.setattr(drawing, "as_svg", elsewhere)
    with drawn_beside(), drawn_beside():
        asked = [bars(number) for number in (1, 2, 3)]
        assert asked[2].__html__() == here[2]
    assert [drawn.__html__() for drawn in asked] == here  # also those that were not looked at within
    assert [process.returncode for process in started] == [-9]


def test_a_process_that_is_killed_or_does_not_start_keeps_no_chart_from_being_drawn(started, monkeypatch):
    here = bars(1).__html__()
    with drawn_beside():
        started[0].kill()
        started[0].wait()
        assert bars(1).__html__() == here

    def full(*_arguments, **_settings):
        raise OSError("no process can be started")

    monkeypatch.setattr(drawing.subprocess, "Popen", full)
    with drawn_beside():
        assert bars(1).__html__() == here


def test_what_is_wrong_with_a_chart_is_told_and_the_next_is_drawn():
    with pytest.raises(ValueError) as here:
        as_svg({"mark": 3, "data": 4})
    with drawn_beside():
        wrong, right = Drawing({"mark": 3, "data": 4}), bars(1)
        with pytest.raises(ValueError) as told:
            wrong.__html__()
        assert str(told.value)[:40] == str(here.value)[:40]
        assert right.__html__() == bars(1).__html__()


def test_where_no_chart_is_drawn_no_process_is_started(started):
    with drawn_beside(draw=False):
        pass
    assert started == []


@pytest.fixture
def config(tmp_path):
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in articles(3, 6)))
    return parse_config({**run_config(tmp_path / "run", source_of(tmp_path / "in.jsonl")), "report": "on"})


def test_the_process_starts_before_the_last_units_of_a_run_and_ends_with_its_reports(config, started, monkeypatch):
    run_steps, seen = runs.run_steps, []

    def watched(context, steps):
        seen.append((steps[0].name, len(started)))
        run_steps(context, steps)

    monkeypatch.setattr(runs, "run_steps", watched)
    monkeypatch.setattr(drawing, "as_svg", elsewhere)
    finished = runs.run(config).run
    assert seen == [("measure", 0), ("shards", 1)]
    assert [process.returncode for process in started] == [-9]
    page = finished.store.read("reports/report.html")
    assert b"<svg" in page and page == page_of(load_run(config.run))


def test_a_run_that_fails_leaves_no_process(config, started, monkeypatch):
    def full(_context):
        raise OSError("the disk is full")

    monkeypatch.setattr(runs, "note_facts", full)
    with pytest.raises(OSError, match="full"):
        runs.run(config)
    assert [process.returncode for process in started] == [-9]


def test_what_cannot_begin_keeps_no_run_from_going_on(config, started, monkeypatch):
    def broken(name):
        if name == "languages":
            raise ImportError("no such report")
        return known(name)

    known = REPORTS.get
    monkeypatch.setattr(type(REPORTS), "get", lambda _self, name: broken(name))
    with ExitStack() as until:
        begin_reports(config, until)
        assert len(started) == 1
