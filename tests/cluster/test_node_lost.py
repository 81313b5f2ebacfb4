"""Three nodes, one of them lost in the middle: the job ends with the bytes of one machine."""

import os
import signal
import subprocess
import sys

import pytest

from tests.cluster.clusters import ENVIRONMENT, cluster, end_family
from tests.faults.hooks import environment
from tests.faults.runs import Runs, wait_for


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp("nodes"))


@pytest.mark.longest
@pytest.mark.parametrize("stage", ["measure", "shuffle"])
def test_a_node_killed_in_the_middle_costs_only_its_running_units(runs, tmp_path, stage):
    line = runs.line(tmp_path, "ray", workers="auto")
    hook = environment(tmp_path / "marks", {"point": "commit", "is": {"stage": stage}, "do": "sleep", "seconds": 3})
    faults = [f"--env={name}={hook[name]}" for name in ("WINNOW_FAULT_HOOK", "WINNOW_TEST_FAULTS")]
    with cluster(cpus=0) as there:
        nodes = [there.start_worker(), there.start_worker()]
        submit = [sys.executable, "-m", "jobs", "submit", line[-1], "--address", there.address, *faults]
        process = subprocess.Popen(
            submit, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | ENVIRONMENT
        )
        try:
            wait_for(lambda: any((tmp_path / "run").glob(f"work/{stage}/*/*.json")), process)
            assert nodes[0].poll() is None
            end_family(nodes[0])
            assert nodes[0].returncode == -signal.SIGKILL
            output, messages = process.communicate(timeout=300)
        finally:
            end_family(process)
    assert process.returncode == 0, output + messages
    runs.holds(tmp_path)
