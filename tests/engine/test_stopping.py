"""Asked to stop: what has begun commits, what has not begun waits for the next run."""

import os
import signal
import threading
import time

import pytest

from winnow.engine.config import ComputeConfig
from winnow.engine.engine import Engine
from winnow.engine.executors.execute import _marked_when_asked
from winnow.engine.records import Unit
from winnow.engine.stage import Stage
from winnow.engine.stopping import Stop
from winnow.errors import ForcedStop, StoppedError, exit_code_of
from winnow.storage.local_store import LocalStore


def work(unit: Unit, workspace) -> None:
    """Sends this process the signals that its description lists, then may sleep, then writes."""
    asked = workspace.store.path("asked")
    if not asked.exists():
        for number in unit.inputs.get("signals", []):
            asked.touch()
            os.kill(os.getpid(), number)
            time.sleep(0.01)
        time.sleep(unit.inputs.get("sleeps", 0) if asked.exists() else 0)
    workspace.write("out.txt", lambda draft: draft.write(b"x") and 1)


def run(tmp_path, units: list[Unit], grace_seconds: float = 60):
    stop = Stop(grace_seconds)
    with stop.handle_signals():
        return Engine(LocalStore(str(tmp_path)), ComputeConfig(executor="inline"), stop=stop).run(
            Stage("s", 1, {}, work), units
        )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_the_running_unit_commits_and_no_other_begins(tmp_path, capfd, number, code):
    before = signal.getsignal(signal.SIGTERM)
    units = [Unit(n, {"n": n, "signals": [number]} if n == 1 else {"n": n}, 10 - n) for n in range(4)]
    with pytest.raises(StoppedError, match="stage s: 2 of its 4 units are committed") as error:
        run(tmp_path, units)
    assert exit_code_of(error.value.signal_number) == code
    assert "asked to stop" in capfd.readouterr().err
    assert len(LocalStore(str(tmp_path)).list("work/s/" + Stage("s", 1, {}, work).fingerprint, ".json")) == 2
    assert len(run(tmp_path, units)) == 4
    assert signal.getsignal(signal.SIGTERM) is before


def test_asked_in_its_last_unit_a_stage_ends_and_the_next_one_does_not_begin(tmp_path):
    stop = Stop()
    with stop.handle_signals():
        engine = Engine(LocalStore(str(tmp_path)), ComputeConfig(executor="inline"), stop=stop)
        engine.run(Stage("s", 1, {}, work), [Unit(0, {"signals": [signal.SIGTERM]})])
        with pytest.raises(StoppedError, match="stage t: 0 of its 1"):
            engine.run(Stage("t", 1, {}, work), [Unit(0, {})])
        engine.run(Stage("s", 1, {}, work), [Unit(0, {"signals": [signal.SIGTERM]})])  # nothing is missing


def test_a_second_signal_ends_at_once(tmp_path):
    with pytest.raises(ForcedStop):
        run(tmp_path, [Unit(0, {"signals": [signal.SIGTERM, signal.SIGTERM], "sleeps": 30})])
    assert not list(tmp_path.rglob(".draft-*"))


def test_the_end_of_the_grace_time_ends_at_once(tmp_path):
    started = time.monotonic()
    with pytest.raises(ForcedStop):
        run(tmp_path, [Unit(0, {"signals": [signal.SIGTERM], "sleeps": 30})], grace_seconds=0.1)
    assert time.monotonic() - started < 20


def test_without_a_signal_nothing_stops(tmp_path):
    assert len(run(tmp_path, [Unit(n, {"n": n}) for n in range(3)])) == 3


class Late:
    """An event whose waiter is told only when the test lets it be."""

    def __init__(self) -> None:
        self.told, self.waits = threading.Event(), threading.Event()

    def wait(self, _seconds: float) -> bool:
        self.waits.set()
        return self.told.wait(20)


@pytest.mark.parametrize("in_time", [True, False])
def test_workers_are_told_while_a_stage_runs_and_its_end_waits_for_nobody(tmp_path, in_time):
    store, stop, asked = LocalStore(str(tmp_path)), Stop(), Late()
    stop.asked = asked  # type: ignore[assignment]
    with _marked_when_asked(stop, store, "marker"):
        assert asked.waits.wait(20)
        (watcher,) = (thread for thread in threading.enumerate() if thread.name == "stop")
        if in_time:
            asked.told.set()
            watcher.join(20)
            assert store.exists("marker")
    assert watcher.is_alive() != in_time  # the stage has ended, and it waits still
    asked.told.set()
    watcher.join(20)
    assert not store.exists("marker")
