"""Three nodes, one of them lost in the middle: the job ends with the bytes of one machine."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from tests.cluster.clusters import ENVIRONMENT, Cluster, cluster, end_family
from tests.faults.hooks import environment
from tests.faults.runs import Runs, wait_for
from tests.faults.test_faults import STAGES


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp("nodes"))


def node_of(there: Cluster, process_id: int) -> subprocess.Popen:
    """The node that a worker process belongs to."""
    above = {process_id, *(parent.pid for parent in psutil.Process(process_id).parents())}
    (node,) = [node for node in there.nodes if node.pid in above]
    return node


@pytest.mark.longest
@pytest.mark.parametrize("stage", STAGES)
def test_a_node_killed_in_the_middle_costs_only_its_running_units(runs, tmp_path, stage):
    """The node that is at a unit of the stage is killed."""
    runs = runs.having(stage)
    line = runs.line(tmp_path, "ray", workers="auto")
    slow = {"point": "commit", "is": {"stage": stage}, "do": "sleep", "seconds": 600, "times": 1}
    hook = environment(tmp_path / "marks", slow)
    faults = [f"--env={name}={hook[name]}" for name in ("WINNOW_FAULT_HOOK", "WINNOW_TEST_FAULTS")]
    with cluster(cpus=0) as there:
        there.start_worker()
        there.start_worker()
        submit = [sys.executable, "-m", "jobs", "submit", line[-1], "--address", there.address, *faults]
        process = subprocess.Popen(
            submit, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | ENVIRONMENT
        )
        try:
            wait_for(lambda: any(mark.stat().st_size for mark in (tmp_path / "marks").iterdir()), process, 240)
            (mark,) = (tmp_path / "marks").iterdir()
            node = node_of(there, int(mark.read_text()))
            assert node is not there.nodes[0]
            end_family(node)
            assert node.returncode == -signal.SIGKILL
            output, messages = process.communicate(timeout=300)
        finally:
            end_family(process)
    assert process.returncode == 0, output + messages
    runs.holds(tmp_path)
