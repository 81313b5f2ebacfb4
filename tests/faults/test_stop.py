"""SIGTERM and Ctrl-C, as schedulers and people send them, in the middle of a run."""

import signal

import pytest

from tests.support.fault_runs import ended, started, wait_for

SLOW_UNITS = {"point": "unit", "do": "sleep", "seconds": 0.5}


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "processes", "ray"])
@pytest.mark.parametrize("stage", ["measure", "tokenise"])
def test_sigterm_lets_running_units_commit_and_the_next_run_goes_on(runs, tmp_path, executor, stage):
    line = runs.line(tmp_path, executor)
    slow = SLOW_UNITS | {"is": {"stage": stage}}
    process = started(line, tmp_path / "marks", slow)
    records = lambda: list((tmp_path / "run").glob(f"work/{stage}/*/*.json"))  # noqa: E731
    wait_for(lambda: bool(records()), process)
    process.send_signal(signal.SIGTERM)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 75, messages
    assert f"stopped in stage {stage}" in messages
    assert not (tmp_path / "run" / "lease.json").exists()
    assert not list((tmp_path / "run").rglob(".draft-*"))
    before = {path: path.stat().st_mtime_ns for path in records()}
    assert ended(line, tmp_path / "marks")[0] == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    runs.holds(tmp_path)


@pytest.mark.longest
@pytest.mark.parametrize("executor", ["inline", "processes", "ray"])
def test_a_second_ctrl_c_ends_at_once(runs, tmp_path, executor):
    line = runs.line(tmp_path, executor)
    process = started(
        line, tmp_path / "marks", {"point": "commit", "is": {"stage": "measure"}, "do": "sleep", "seconds": 600}
    )
    wait_for(lambda: any((tmp_path / "run").glob("work/measure/*/*.parquet")), process)
    process.send_signal(signal.SIGINT)
    while "asked to stop" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages
    assert ended(line, tmp_path / "marks")[0] == 0
    runs.holds(tmp_path)


@pytest.mark.slow
def test_the_grace_time_ends_a_run_whose_units_do_not(runs, tmp_path):
    line = runs.line(tmp_path, "ray", grace_seconds=1)
    process = started(
        line, tmp_path / "marks", {"point": "commit", "is": {"stage": "measure"}, "do": "sleep", "seconds": 600}
    )
    wait_for(lambda: any((tmp_path / "run").glob("work/measure/*/*.parquet")), process)
    process.send_signal(signal.SIGTERM)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 75, messages
    assert ended(line, tmp_path / "marks")[0] == 0
    runs.holds(tmp_path)
