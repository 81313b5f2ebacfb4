"""Ray Data on a private Ray: no actors of its own, and workers that are there already."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from winnow.engine.executors import lean_data
from winnow.engine.executors.lean_data import TOLD, OneNode

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import json, os, sys
from pathlib import Path
from tests.engine.test_lean_data import tell
from winnow.engine.config import ComputeConfig
from winnow.engine.engine import Engine
from winnow.engine.executors import private_ray
from winnow.engine.records import Unit
from winnow.engine.stage import Stage
from winnow.storage.local_store import LocalStore

private_ray.begin_start(2, ("colorsys",))
engine = Engine(LocalStore(sys.argv[1]), ComputeConfig(executor="ray", workers=2))
records = engine.run(Stage("s", 1, {}, tell), [Unit(n, {"n": n}, 10_000_000) for n in range(8)])
titles = []
for folder in Path("/proc").glob("[0-9]*"):
    try:
        if f"_{os.getpid()}/logs/" in str((folder / "fd/1").readlink()):  # of this session
            titles.append((folder / "cmdline").read_text()[:200])
    except OSError:
        pass
import ray
from ray.data._internal.execution import metadata_fetcher
own = ray.remote(lambda: os.environ["OWN"]).options(runtime_env={"env_vars": {"OWN": "x"}})
print(json.dumps([[record.metadata for record in records], titles, ray.get(own.remote(), timeout=60),
    metadata_fetcher._PREFETCH_ON_THREAD]), flush=True)
private_ray.leave_ray()
os._exit(0)
"""


def tell(_unit, workspace) -> None:
    """What the worker is like."""
    forked = "winnow.engine.executors.worker_template" in sys.modules
    workspace.metadata = {
        "process": os.getpid(),
        "forked": forked,
        "loaded": "colorsys" in sys.modules,
        "measured": any("poll_uss" in thread.name for thread in threading.enumerate()),
    }


@pytest.mark.ray
@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_units_are_done_by_forks_and_no_actor_is_begun(tmp_path):
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'pipeline'}:{ROOT}"}
    environment.pop("RAY_ADDRESS", None)
    line = [sys.executable, "-c", RUN, str(tmp_path)]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    told, titles, own, on_thread = json.loads(done.stdout)
    assert all(unit["forked"] and unit["loaded"] and not unit["measured"] for unit in told)
    assert titles  # there are workers
    assert not [title for title in titles if title.startswith(("ray::_", "ray::Dashboard", "ray::RuntimeEnv"))]
    assert on_thread is False  # else the end of a task is seen a look later
    assert own == "x"  # the agent that a user asks is there then


def test_the_installed_ray_data_has_what_is_left_out():
    """Another one may have renamed it: then its actors are begun, and a run is to be measured."""
    from ray.data._internal import metadata_exporter, stats
    from ray.data._internal.cluster_autoscaler import rate_based_cluster_autoscaler as rate_based

    assert hasattr(metadata_exporter.Topology, "create_topology_metadata")
    assert all(hasattr(stats._StatsManager, name) for name in (*TOLD, "gen_dataset_id_from_stats_actor"))
    abstract = rate_based.AutoscalingCoordinator.__abstractmethods__
    assert issubclass(rate_based.DefaultAutoscalingCoordinator, rate_based.AutoscalingCoordinator)
    assert all(callable(getattr(OneNode, name, None)) for name in abstract)


def test_nothing_is_begun_and_numbers_differ(monkeypatch):
    from ray.data._internal import metadata_exporter, stats
    from ray.data._internal.cluster_autoscaler import rate_based_cluster_autoscaler as rate_based

    describe = metadata_exporter.Topology.create_topology_metadata
    monkeypatch.setattr(metadata_exporter.Topology, "create_topology_metadata", staticmethod(describe))
    monkeypatch.setattr(stats, "get_or_create_stats_actor", lambda: pytest.fail("an actor is begun"))
    for name in (*TOLD, "gen_dataset_id_from_stats_actor"):
        monkeypatch.setattr(stats._StatsManager, name, getattr(stats._StatsManager, name))
    monkeypatch.setattr(rate_based, "DefaultAutoscalingCoordinator", rate_based.DefaultAutoscalingCoordinator)
    lean_data.leave_out_actors()
    stats._StatsManager.update_execution_metrics("tag", [], [], {})
    stats._StatsManager.update_iteration_metrics(None, "tag")
    topology = metadata_exporter.Topology.create_topology_metadata(None, {})
    stats._StatsManager.register_dataset_to_stats_actor("tag", [], topology, None)
    assert len({stats._StatsManager.gen_dataset_id_from_stats_actor() for _ in range(3)}) == 3
    there = {"CPU": 2.0, "memory": 5.0, "node:10.0.0.1": 1.0}
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(cluster_resources=lambda: there))
    coordinator = rate_based.DefaultAutoscalingCoordinator(requester_id="data-1", subcluster_selector=None)
    coordinator.request_resources(resources=[{"CPU": 9.0}], expire_after_s=1, request_remaining=["CPU"])
    assert coordinator.get_reserved_resources() == {"": {"CPU": 2.0, "memory": 5.0}}
    coordinator.cancel_request()
