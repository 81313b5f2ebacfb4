"""Three nodes, one of them lost in the middle: the job ends with the bytes of one machine."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from tests.support.clusters import ENVIRONMENT, ROOT, Cluster, cluster, end_family
from tests.support.configs import run_config, source_of
from tests.support.fault_hooks import environment
from tests.support.fault_runs import STAGES, Runs, wait_for
from tests.support.finished import shards_of
from winnow.config.config import parse_config
from winnow.runs.run import run

CORPUS = ROOT.parent / "shared" / "corpus"


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


@pytest.mark.longest
def test_the_corpus_through_ray_job_submit_with_a_node_lost_equals_one_machine(tmp_path):
    """All of the corpus of real text; the node that tokenises is killed."""
    if not CORPUS.is_dir():
        pytest.skip("needs the corpus of real text in a folder `shared/corpus` beside the repository")
    config = run_config(
        tmp_path / "alone",
        source_of(f"{CORPUS}/[01]*.jsonl.zst", "real", id="id"),
        shards={"splits": {"val": 0.05}},
        compute={"unit_mb": 24, "partition_mb": 32},
    )
    run(parse_config(config))
    there_config = config | {"run": str(tmp_path / "run"), "compute": config["compute"] | {"executor": "ray"}}
    (tmp_path / "upload").mkdir()
    (tmp_path / "upload" / "c.yaml").write_text(yaml.safe_dump(there_config))
    slow = {"point": "commit", "is": {"stage": "tokenise"}, "do": "sleep", "seconds": 600, "times": 1}
    hook = environment(tmp_path / "marks", slow)
    variables = {name: hook[name] for name in ("WINNOW_FAULT_HOOK", "WINNOW_TEST_FAULTS")}
    with cluster(cpus=0) as there:
        there.start_worker()
        there.start_worker()
        submit = [
            *(str(Path(sys.executable).parent / "ray"), "job", "submit", "--address", there.address),
            *("--working-dir", str(tmp_path / "upload"), "--runtime-env-json", json.dumps({"env_vars": variables})),
            *("--", "python", "-m", "winnow.jobs.run", "c.yaml"),
        ]
        process = subprocess.Popen(
            submit, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | ENVIRONMENT
        )
        try:
            wait_for(lambda: any(mark.stat().st_size for mark in (tmp_path / "marks").iterdir()), process, 600)
            (mark,) = (tmp_path / "marks").iterdir()
            end_family(node_of(there, int(mark.read_text())))
            output, messages = process.communicate(timeout=600)
        finally:
            end_family(process)
    assert process.returncode == 0, output + messages
    assert "the books close" in output
    assert shards_of(tmp_path / "run") == shards_of(tmp_path / "alone")
