"""Workers of this machine without Ray: the same records, and every death of a worker is one unit's alone."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.engine.test_engine import BIG, marks, units, work
from winnow.engine.config import ComputeConfig
from winnow.engine.engine import Engine, StageFailedError
from winnow.engine.executors import choose, cores, processes
from winnow.engine.executors.choose import LARGE_BYTES, SMALL_BYTES, choose_executor
from winnow.engine.records import Unit
from winnow.engine.stage import Stage, Workspace
from winnow.engine.stopping import Stop
from winnow.errors import StoppedError
from winnow.storage.local_store import LocalStore


@pytest.fixture(scope="module", autouse=True)
def _ended():
    yield
    processes.end_processes()


def engine(folder: Path, stop: Stop | None = None, **compute) -> Engine:
    config = ComputeConfig(**{"executor": "processes", "workers": 2, "attempts": 2} | compute)
    return Engine(LocalStore(str(folder)), config, stop=stop or Stop())


def tell(unit: Unit, workspace: Workspace) -> None:
    """What a worker is: its process and environment; says a line, and prints one."""
    logging.getLogger("winnow").warning("unit %d speaks", unit.inputs["n"])
    print("no output of the command")
    workspace.metadata |= {"process": os.getpid(), "said": os.environ.get("WINNOW_TEST_SAID")}


def linger(unit: Unit, workspace: Workspace) -> None:
    """Hang in the first attempt."""
    begun = workspace.store.path(f"begun-{unit.inputs['n']}")
    if not begun.exists():
        begun.write_text(str(os.getpid()))
        time.sleep(unit.inputs["seconds"])


def test_the_same_records_as_inline(tmp_path):
    inline = Engine(LocalStore(str(tmp_path / "inline")), ComputeConfig(executor="inline"))
    there = engine(tmp_path / "there")
    stage, many = Stage("s", 1, {}, work), units(5, by=7)
    compared = [[(r.key, r.outputs, r.counters) for r in one.run(stage, many)] for one in (inline, there)]
    assert compared[0] == compared[1]
    assert there.executor_told == "2 processes of this machine (as the config says)"
    again = engine(tmp_path / "there")
    again.run(stage, many)
    assert again.summaries[0].reused == 5


def test_workers_stay_have_the_environment_and_speak_through_the_driver(tmp_path, monkeypatch, caplog, capfd):
    logging.getLogger("winnow").propagate = True
    monkeypatch.setenv("WINNOW_TEST_SAID", "hello")
    records = engine(tmp_path).run(Stage("s", 1, {}, tell), units(6))
    records += engine(tmp_path).run(Stage("t", 1, {}, tell), units(6))
    found = {record.metadata["process"] for record in records}
    assert len(found) <= 2
    assert os.getpid() not in found
    assert {record.metadata["said"] for record in records} == {"hello"}
    assert {f"unit {n} speaks" for n in range(6)} <= set(caplog.messages)
    assert capfd.readouterr().out == ""


def test_modules_come_from_where_the_driver_has_them(tmp_path, monkeypatch):
    """A `json.py` beside the data is not loaded; a Path among the paths, which Python passes over, does no harm."""
    processes.end_processes()
    (tmp_path / "json.py").write_text("raise ImportError('not this one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, tmp_path])
    assert len(engine(tmp_path / "run", attempts=1).run(Stage("s", 1, {}, work), units(1))) == 1


def test_a_worker_that_dies_harms_no_other_unit(tmp_path, caplog):
    logging.getLogger("winnow").propagate = True
    many = [Unit(n, {"n": n, **({"dies": 1} if n == 1 else {})}, BIG) for n in range(4)]
    engine(tmp_path).run(Stage("s", 1, {}, work), many)
    assert marks(LocalStore(str(tmp_path))) == 5
    assert "s unit 1: its worker was killed by SIGKILL" in caplog.text


def test_a_unit_that_kills_its_worker_every_time_ends_the_run_and_spares_the_others(tmp_path):
    poisoned = [Unit(n, {"n": n, **({"dies": 99} if n == 1 else {})}, BIG) for n in range(4)]
    with pytest.raises(StageFailedError, match="1 of 4 units failed(?s:.*)unit 1: its worker died"):
        engine(tmp_path).run(Stage("s", 1, {}, work), poisoned)
    assert marks(LocalStore(str(tmp_path))) == 3 + 2 * 3  # two attempts of three tries


def test_failures_are_told_as_elsewhere(tmp_path):
    with pytest.raises(StageFailedError, match="unit 0: ValueError: unit 0 cannot work yet"):
        engine(tmp_path).run(Stage("s", 1, {}, work), units(2, fails=9))


def test_a_unit_that_takes_too_long_is_tried_by_another_worker(tmp_path, caplog):
    logging.getLogger("winnow").propagate = True
    stuck = [Unit(0, {"n": 0, "seconds": 30}, BIG)]
    (record,) = engine(tmp_path, unit_timeout_minutes=0.005).run(Stage("s", 1, {}, linger), stuck)
    assert record.number == 0
    assert "s unit 0: at it for over 0.005 minutes; its worker is killed and the unit tried again" in caplog.text


def test_a_stop_lets_running_units_commit_and_begins_no_other(tmp_path):
    stop = Stop()
    many = [Unit(n, {"n": n, "seconds": 0.3}, BIG) for n in range(6)]

    def ask() -> None:
        while not list(tmp_path.glob("begun-*")):
            time.sleep(0.01)
        stop.asked.set()

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(StoppedError, match="stopped in stage s"):
        engine(tmp_path, stop).run(Stage("s", 1, {}, linger), many)
    asking.join()
    begun, committed = list(tmp_path.glob("begun-*")), list(tmp_path.glob("work/s/*/*.json"))
    assert len(begun) == len(committed)
    assert len(committed) < 6


def test_the_next_attempt_begins_anew_where_the_process_that_forks_has_ended(tmp_path):
    stage = Stage("s", 1, {}, work)
    engine(tmp_path).run(stage, units(1))
    os.kill(processes.begin_processes()._server.pid, signal.SIGKILL)
    assert len(engine(tmp_path).run(stage, units(3))) == 3


def test_all_workers_end_with_a_driver_that_is_killed(tmp_path):
    """The driver kills itself while a worker is at a unit of a minute."""
    code = f"""
import os, signal, threading, time
from pathlib import Path
from tests.engine.test_processes import BIG, Stage, Unit, engine, linger
def kill():
    while not (found := Path({str(tmp_path)!r}, "begun-0")).exists() or not found.read_text():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
threading.Thread(target=kill).start()
engine(Path({str(tmp_path)!r})).run(Stage("s", 1, {{}}, linger), [Unit(0, {{"n": 0, "seconds": 60}}, BIG)])
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    worker = int((tmp_path / "begun-0").read_text())
    deadline = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _without_ray(monkeypatch) -> None:
    """As in a process that is connected to no cluster; other tests may have connected this one."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delitem(sys.modules, "ray", raising=False)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, "inline"), (SMALL_BYTES - 1, "inline"), (SMALL_BYTES, "processes"), (LARGE_BYTES, "ray")],
)
def test_auto_goes_by_the_work(monkeypatch, tmp_path, size, expected):
    _without_ray(monkeypatch)
    monkeypatch.setattr(choose, "_DEVICES", tmp_path)
    auto = ComputeConfig()
    assert auto.executor == "auto"
    assert choose_executor(auto, size, on_gpu=True)[0] == expected
    assert choose_executor(ComputeConfig(executor="inline"), size) == ("inline", "as the config says")


def test_auto_is_ray_for_a_cluster_and_for_gpus(monkeypatch, tmp_path):
    _without_ray(monkeypatch)
    monkeypatch.setattr(choose, "_DEVICES", tmp_path)
    (tmp_path / "nvidia0").touch()
    assert choose_executor(ComputeConfig(), 1, on_gpu=True)[0] == "ray"
    assert choose_executor(ComputeConfig(gpus=0), 1, on_gpu=True)[0] == "inline"
    assert choose_executor(ComputeConfig(), 1)[0] == "inline"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert choose_executor(ComputeConfig(), 1)[0] == "ray"


def test_auto_grows_and_does_not_go_back(tmp_path, monkeypatch):
    _without_ray(monkeypatch)
    auto = engine(tmp_path, executor="auto")
    auto.run(Stage("small", 1, {}, tell), [Unit(0, {"n": 0}, 100)])
    assert auto.executor_told == "this process (under 16 MB to do)"
    (large,) = auto.run(Stage("large", 1, {}, tell), [Unit(0, {"n": 0}, SMALL_BYTES)])
    assert auto.executor_told == "2 processes of this machine (under 8 GB to do, and no cluster is joined)"
    (small,) = auto.run(Stage("next", 1, {}, tell), [Unit(0, {"n": 0}, 100)])
    assert os.getpid() not in (large.metadata["process"], small.metadata["process"])


def test_workers_are_as_many_as_there_is_memory_for(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "usable_cores", lambda: 8)
    free = tmp_path / "meminfo"
    free.write_text("MemTotal: 9 kB\nMemAvailable:    5000000 kB\n")
    monkeypatch.setattr(cores, "_MEMORY", free)
    monkeypatch.setattr(cores, "_CGROUPS", tmp_path)
    assert processes.workers_of(ComputeConfig(worker_memory_mb=2048)) == 2
    assert processes.workers_of(ComputeConfig(worker_memory_mb=8000)) == 1
    assert processes.workers_of(ComputeConfig(workers=3, worker_memory_mb=8000)) == 3
    (tmp_path / "memory.max").write_text("700000000\n")
    (tmp_path / "memory.current").write_text("100000000\n")
    assert cores.usable_memory() == 600_000_000
