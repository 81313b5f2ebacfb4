"""What is replaced in Ray must be there in the tested version, and be put back; an early start only where it helps."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from jobs.prestart import workers_needed
from tests.support.configs import unread_config
from winnow.engine.executors import private_ray
from winnow.engine.executors.choose import LARGE_BYTES, SMALL_BYTES
from winnow.engine.executors.private_ray import UNUSED_PROCESSES, lean_start
from winnow.errors import ClusterError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.ray
def test_the_installed_ray_has_what_a_lean_start_replaces():
    from ray._private import node, services, utils

    replaced = [(node.Node, name) for name in UNUSED_PROCESSES]
    replaced += [(services, "get_node"), (services, "start_ray_process"), (utils, "get_dashboard_dependency_error")]
    before = [getattr(owner, name) for owner, name in replaced]
    with lean_start(threading.Event()):
        # another Ray may have renamed them: then its start is to be measured again
        assert all(getattr(*one) is not value for one, value in zip(replaced, before, strict=True))
        assert isinstance(utils.get_dashboard_dependency_error(), ImportError)
    assert all(getattr(*one) is value for one, value in zip(replaced, before, strict=True))


HELD = """
import os, sys, time
from pathlib import Path
from winnow.engine.executors import private_ray

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))  # where its workers find what they wait for
private_ray.begin_start(2, ("waits_for_the_driver",))
private_ray.finish_start(2)
(folder / "driver").touch()
end = time.monotonic() + 60
while len(list(folder.glob("fork-*"))) < 4 and time.monotonic() < end:
    time.sleep(0.05)
private_ray.leave_ray()
os._exit(0)
"""
WAITS = """
import os, time
from pathlib import Path

folder = Path(__file__).parent
end = time.monotonic() + 30
while not (folder / "driver").exists() and time.monotonic() < end:
    time.sleep(0.05)
if not (folder / "driver").exists():
    (folder / "waited in vain").touch()
os.register_at_fork(after_in_child=lambda: (folder / f"fork-{os.getpid()}").touch())
"""


@pytest.mark.ray
@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_the_driver_does_not_wait_for_workers_and_they_come_unasked(tmp_path):
    (tmp_path / "waits_for_the_driver.py").write_text(WAITS)
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'pipeline'}:{ROOT}"}
    environment.pop("RAY_ADDRESS", None)
    subprocess.run([sys.executable, "-c", HELD, str(tmp_path)], env=environment, check=True, timeout=200)
    assert not (tmp_path / "waited in vain").exists()
    assert len(list(tmp_path.glob("fork-*"))) >= 4  # two workers, and two forks that only draw an id


def test_a_ray_that_does_not_start_is_no_fault_of_the_program(monkeypatch):
    def start(num_cpus, launched, modules):
        raise Exception("The current node timed out during startup.")

    monkeypatch.setitem(sys.modules, "ray", None)  # another test may have started one
    monkeypatch.setattr(private_ray, "_starts", [])
    monkeypatch.setattr(private_ray, "_start_ray", start)
    with pytest.raises(ClusterError, match=r"Ray did not start .*timed out during startup.*session_latest/logs.*again"):
        private_ray.finish_start(1)


def test_a_ray_that_never_comes_up_is_given_up(monkeypatch):
    over = threading.Event()
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(private_ray, "_starts", [])
    monkeypatch.setattr(private_ray, "_start_ray", lambda *_: over.wait())
    monkeypatch.setattr(private_ray, "START_SECONDS", 0.05)
    monkeypatch.setattr(private_ray, "LAUNCH_SECONDS", 0.05)
    with pytest.raises(ClusterError, match=r"Ray did not start .*not come up within 0 s.*again"):
        private_ray.finish_start(1)
    over.set()


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Writes a config over ``size`` bytes of input; returns its path."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def write(size=SMALL_BYTES, **settings):
        with (tmp_path / "in.jsonl").open("wb") as file:
            file.truncate(size)
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(unread_config(str(tmp_path / "run"), str(tmp_path / "*.jsonl"), **settings)))
        return str(path)

    return write


def test_a_fresh_run_starts_what_it_will_need_early(config):
    ray = ["compute.executor=ray"]
    assert workers_needed(config(), []) == ("processes", "auto")
    assert workers_needed(config(size=LARGE_BYTES - 1), []) == ("processes", "auto")
    assert workers_needed(config(size=LARGE_BYTES), []) == ("ray", "auto")
    assert workers_needed(config(compute={"executor": "ray", "workers": 3}), []) == ("ray", 3)
    assert workers_needed(config(), [*ray, "compute.workers=5"]) == ("ray", 5)
    assert workers_needed(config(size=LARGE_BYTES), ["compute.executor=processes"]) == ("processes", "auto")


def test_a_run_that_may_not_need_workers_does_not_start_them_early(config, tmp_path, monkeypatch):
    assert workers_needed(config(size=SMALL_BYTES - 1), [])[0] == "inline"
    assert workers_needed(config(size=SMALL_BYTES - 1), ["compute.executor=ray"])[0] == "inline"
    assert workers_needed(config(compute={"executor": "inline"}), [])[0] == "inline"
    assert workers_needed(config(), ["compute.executor=inline"])[0] == "inline"
    path = config()
    with monkeypatch.context() as patch:
        patch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
        assert workers_needed(path, [])[0] == "inline"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state.json").write_text("{}")
    assert workers_needed(path, [])[0] == "inline"


def test_a_config_that_can_be_read_only_once_is_left_to_the_command(config, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(Path(config()).read_bytes()), daemon=True)
    writer.start()
    assert workers_needed(str(pipe), [])[0] == "inline"
    assert b"sources" in pipe.read_bytes()
    writer.join()
