"""Charts are drawn beside the process that asks for them, and by itself where nobody else does."""

import subprocess

import pytest

from winnow.report.page import drawing
from winnow.report.page.charts import Drawing, stacked_bars
from winnow.report.page.draw_process import as_svg
from winnow.report.page.drawing import drawn_beside

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
