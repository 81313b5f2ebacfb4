"""What is replaced in Ray must be there in the tested version, and be put back; an early start only where it helps."""

import os
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


@pytest.mark.ray
def test_the_installed_ray_has_what_a_lean_start_replaces():
    from ray._private import node, services

    before = {name: getattr(node.Node, name) for name in UNUSED_PROCESSES}
    functions = {name: getattr(services, name) for name in ("get_node", "start_ray_process")}
    with lean_start(threading.Event()):
        # another Ray may have renamed them: then its start is to be measured again
        assert all(getattr(node.Node, name) is not before[name] for name in UNUSED_PROCESSES)
        assert all(getattr(services, name) is not functions[name] for name in functions)
    assert all(getattr(node.Node, name) is before[name] for name in UNUSED_PROCESSES)
    assert all(getattr(services, name) is functions[name] for name in functions)


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
