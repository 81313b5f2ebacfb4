"""`ray job submit` and `winnow submit` against a cluster that `ray start` made: states, exit codes, stops."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import orjson
import pytest
import yaml

from tests.support.clusters import ENVIRONMENT, Cluster, cluster
from tests.support.commands import winnow
from tests.support.configs import run_config, source_of, unread_config
from tests.support.fault_hooks import environment
from tests.support.fault_runs import Runs, wait_for


@pytest.fixture(scope="module")
def there():
    with cluster() as running:
        yield running


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp("submit"))


def submit(there: Cluster, config: Path, *more: str) -> subprocess.Popen:
    line = [sys.executable, "-m", "jobs", "submit", str(config), "--address", there.address, *more]
    environment = os.environ | ENVIRONMENT
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def exported(there: Cluster, name: str) -> str:
    """What the node tells Prometheus of a metric; nothing before its agent answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{there.metrics}/metrics") as page:
            return "\n".join(line for line in page.read().decode().split("\n") if line.startswith(name))
    except OSError:
        return ""


@pytest.mark.slow
def test_submit_stops_the_job_on_a_signal_and_passes_its_log_and_exit_codes_on(there, runs, tmp_path):
    runs.line(tmp_path, "ray")
    slow = [{"point": "unit", "is": {"stage": stage}, "do": "sleep", "seconds": 3} for stage in ("measure", "tokenise")]
    hook = environment(tmp_path / "marks", *slow)
    faults = [f"--env={name}={hook[name]}" for name in ("WINNOW_FAULT_HOOK", "WINNOW_TEST_FAULTS")]
    process = submit(there, tmp_path / "config.yaml", *faults)
    records = lambda: list((tmp_path / "run").glob("work/tokenise/*/*.json"))  # noqa: E731
    wait_for(lambda: "measure" in exported(there, "ray_winnow_units_done_total"), process)
    wait_for(lambda: bool(records()), process)
    process.send_signal(signal.SIGTERM)
    output, messages = process.communicate(timeout=120)
    assert process.returncode == 75, output + messages
    assert "stopped in stage" in output  # tokenise, or what began before the signal came
    before = {path: path.stat().st_mtime_ns for path in records()}

    process = submit(there, tmp_path / "config.yaml")
    output, messages = process.communicate(timeout=240)
    assert process.returncode == 0, output + messages
    assert "the books close" in output
    assert {path: path.stat().st_mtime_ns for path in before} == before
    runs.holds(tmp_path)

    process = submit(there, tmp_path / "config.yaml", "--set", f"sources.0.path={tmp_path}/nowhere.jsonl")
    output, messages = process.communicate(timeout=120)
    assert process.returncode == 2, output + messages
    assert "no such file or folder" in output


@pytest.mark.slow
def test_a_job_with_a_relative_run_is_refused_and_writes_nothing(there, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "Words of one document alone, which nobody repeats."}\n')
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(run_config("run", source_of("in.jsonl"))))
    line = [*there.ray, "job", "submit", f"--address={there.address}", f"--working-dir={tmp_path}", "--"]
    line += ["python", "-m", "winnow.jobs", "run", "c.yaml"]
    done = subprocess.run(line, env=os.environ | ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr  # as `ray job submit` ends for every job that failed
    assert "Ray's temporary folder of uploaded code" in done.stdout + done.stderr
    sent = list(there.folder.glob("session_latest/runtime_resources/working_dir_files/*/c.yaml"))
    assert sent and not any((path.parent / "run").exists() for path in sent)


@pytest.mark.slow
def test_a_job_that_another_one_stops_ends_submit_with_75_and_one_that_is_killed_with_1(there, runs, tmp_path):
    from ray.job_submission import JobSubmissionClient

    runs.line(tmp_path, "ray")
    hook = environment(tmp_path / "marks", {"point": "unit", "is": {"stage": "measure"}, "do": "sleep", "seconds": 600})
    faults = [f"--env={name}={hook[name]}" for name in ("WINNOW_FAULT_HOOK", "WINNOW_TEST_FAULTS")]
    lease = tmp_path / "run" / "lease.json"
    process = submit(
        there, tmp_path / "config.yaml", "--submission-id", "a", "--set", "compute.grace_seconds=1", *faults
    )
    wait_for(lease.exists, process)
    JobSubmissionClient(there.address).stop_job("a")
    output, messages = process.communicate(timeout=120)
    assert process.returncode == 75, output + messages
    assert "job a was stopped" in messages

    process = submit(there, tmp_path / "config.yaml", "--submission-id", "b", *faults)
    wait_for(lease.exists, process)
    os.kill(orjson.loads(lease.read_bytes())["pid"], signal.SIGKILL)
    output, messages = process.communicate(timeout=120)
    assert process.returncode == 1, output + messages
    assert "failed without an exit code of its own" in messages


@pytest.mark.slow
def test_a_job_that_would_write_below_its_own_code_fails_before_it_writes(there, tmp_path):
    """`ray job submit` runs in a folder of uploaded code, which goes with the job: it said SUCCEEDED, and the shards
    were gone."""
    from ray.job_submission import JobStatus, JobSubmissionClient

    (tmp_path / "in.jsonl").write_text(json.dumps({"id": "a", "text": "Words of one document alone."}) + "\n")
    config = run_config("runs/a", source_of("in.jsonl"))
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    client = JobSubmissionClient(there.address)

    def ended(name: str, *more: str) -> tuple[JobStatus, int, str]:
        line = [*there.ray, "job", "submit", "--working-dir", ".", "--submission-id", name]
        line += ["--address", there.address, "--", "python", "-m", "winnow.jobs.run", "c.yaml", *more]
        done = subprocess.run(line, cwd=tmp_path, env=there.environment, capture_output=True, text=True, timeout=240)
        job = client.get_job_info(name)
        assert (done.returncode == 0) == (job.status == JobStatus.SUCCEEDED), done.stdout + done.stderr
        return job.status, job.driver_exit_code, client.get_job_logs(name)

    status, code, told = ended("relative")
    assert (status, code) == (JobStatus.FAILED, 2), told
    assert "Ray's temporary folder of uploaded code" in told and "absolute path" in told
    status, code, told = ended("absolute", "--set", f"run={tmp_path}/kept")
    assert (status, code) == (JobStatus.SUCCEEDED, 0), told
    assert (tmp_path / "kept" / "state.json").exists() and not (tmp_path / "runs").exists()


def test_the_job_is_given_the_options(tmp_path, monkeypatch):
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(unread_config("/r/a", "/raw/*.jsonl", dedup={"index": "/r/index"})))
    jobs = []

    class Client:
        def submit_job(self, **job):
            jobs.append(job)
            return "a"

    monkeypatch.setattr("jobs.submit.connect", lambda _address: Client())
    options = ["--set", "shards.seed=8", "--set", "filter.c4=off", "--new-only", "--as", "2026 a", "--if-changed"]
    assert winnow("submit", str(config), "--no-wait", *options)[0] == 0
    given = "--set shards.seed=8 --set filter.c4=off --new-only --as '2026 a' --if-changed"
    assert jobs[0]["entrypoint"] == f"exec python -m winnow.jobs.run c.yaml {given}"


def test_paths_must_be_absolute_and_a_missing_cluster_is_told(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(unread_config("runs/a", "raw/*.jsonl")))
    code, output = winnow("submit", str(config))
    assert code == 2
    assert "run: runs/a" in output
    assert "path of source s: raw/*.jsonl" in output
    config.write_text(yaml.safe_dump(unread_config("/r/a", "/raw/*.jsonl")))
    code, output = winnow("submit", str(config), "--address", "http://127.0.0.1:1")
    assert code == 2
    assert "no Ray cluster takes jobs at http://127.0.0.1:1" in output
