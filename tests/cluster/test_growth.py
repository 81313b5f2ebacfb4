"""Clusters that grow while a stage runs: nodes that join late are used, an autoscaler is asked for what waits."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest

from tests.support.clusters import Cluster, cluster, end_family
from tests.support.fault_runs import wait_for

pytestmark = pytest.mark.slow


def started(running: Cluster, units: int, seconds: float, **compute) -> subprocess.Popen[str]:
    environment = running.environment | {"RAY_ADDRESS": f"{running.ip}:{running.port}"}
    line = [sys.executable, "-m", "tests.support.sleepers", str(units), str(seconds), json.dumps(compute)]
    log = (running.folder / "driver.log").open("w")
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)


def ended(running: Cluster, process: subprocess.Popen[str]) -> dict:
    try:
        told, _ = process.communicate(timeout=240)
        assert process.returncode == 0, said(running)
        return json.loads(told.splitlines()[-1])
    finally:
        end_family(process)


def said(running: Cluster) -> str:
    return (running.folder / "driver.log").read_text()


def test_a_node_that_joins_late_gets_units():
    with cluster(1) as running:
        process = started(running, 16, 2.0)
        wait_for(lambda: "sleep: " in said(running) or process.poll() is not None or time.sleep(8) is None, process)
        running.start_worker(2)
        told = ended(running, process)
    by_node = Counter(told["nodes"])
    assert len(by_node) == 2
    assert max(by_node.values()) < 16 * 2.0 / 2.0 * 0.75, by_node
    assert told["seconds"] < 16 * 2.0 + 5, told


def test_a_node_with_a_gpu_that_joins_late_gets_units():
    with cluster(1, gpus=1) as running:
        process = started(running, 24, 2.0, gpus="auto")
        wait_for(lambda: "sleep: " in said(running) or process.poll() is not None or time.sleep(8) is None, process)
        running.start_worker(1, gpus=1)
        told = ended(running, process)
    assert len(set(told["nodes"])) == 2, told


def test_a_cluster_without_cores_says_so_and_waits_for_a_node():
    with cluster(0) as running:
        process = started(running, 2, 0.1)
        wait_for(lambda: "no node of the cluster offers a CPU" in said(running), process, timeout_s=60)
        running.start_worker(1)
        told = ended(running, process)
        assert len(set(told["nodes"])) == 1
        assert "a node with a CPU has joined" in said(running)


def test_an_autoscaler_is_asked_for_all_units_that_wait():
    types = {"worker": {"resources": {"CPU": 1}, "max_workers": 3}}
    with cluster(0, node_types=types) as running:
        process = started(running, 12, 3.0)
        told = ended(running, process)
    assert len(Counter(told["nodes"])) == 3, told
    assert told["seconds"] < 12 * 3.0, told


def test_a_driver_whose_cluster_loses_its_control_service_says_that_the_command_goes_on():
    """Ray ends it a little later, with 1. The process that watches over the head's is stopped, for it would end the
    node, too: as where the head is another machine."""
    with cluster(1) as running:
        running.environment |= {"RAY_gcs_rpc_server_reconnect_timeout_s": "20"}
        process = started(running, 60, 2.0)
        wait_for(lambda: _at_work(running), process)
        (service,) = [one for one in _family(running) if one.name() == "gcs_server"]
        running.nodes[0].send_signal(signal.SIGSTOP)
        service.kill()
        try:
            process.communicate(timeout=60)
        finally:
            end_family(process)
        assert process.returncode == 75, said(running)
        assert "does not answer; waiting for it" in said(running)
        assert "the control service of the Ray cluster at" in said(running)
        assert "the same command goes on" in said(running)


def test_a_driver_whose_node_ends_says_that_the_command_goes_on():
    with cluster(1) as running:
        process = started(running, 8, 5.0)
        wait_for(lambda: _at_work(running), process)
        (raylet,) = [one for one in _family(running) if one.name() == "raylet"]
        raylet.kill()
        process.communicate(timeout=60)
        assert process.returncode == 75, said(running)
        assert "Ray's node on this machine has ended (its raylet was killed, or failed)" in said(running)


def _family(running: Cluster) -> list[psutil.Process]:
    return psutil.Process(running.nodes[0].pid).children(recursive=True)


def _at_work(running: Cluster) -> bool:
    for one in _family(running):
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie is one, too
            if "ray::MapBatches(" in " ".join(one.cmdline()):
                return True
    return False
