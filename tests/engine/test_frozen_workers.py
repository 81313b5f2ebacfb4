"""Who counts as frozen, without a cluster; tests/faults freezes some."""

from pathlib import Path

from winnow.engine.executors.frozen_workers import FrozenWorkers, NodeWatch


def test_only_workers_that_never_moved_for_so_long_are_frozen():
    workers = FrozenWorkers(10.0)
    assert workers._frozen("a", {1: 5, 2: 5}, 0.0) == []
    assert workers._frozen("b", {1: 7}, 0.0) == []
    assert workers._frozen("a", {1: 5, 2: 6}, 8.0) == []
    assert workers._frozen("a", {1: 5, 2: 7}, 11.0) == [("a", 1)]
    assert workers._frozen("b", {1: 8}, 11.0) == []
    # a process of the same number begins anew
    assert workers._frozen("a", {1: 5, 2: 8}, 12.0) == []
    assert workers._frozen("a", {2: 8}, 30.0) == [("a", 2)]


def test_a_worker_that_was_gone_is_another_one():
    workers = FrozenWorkers(10.0)
    workers._frozen("a", {1: 5}, 0.0)
    workers._frozen("a", {}, 5.0)
    assert workers._frozen("a", {1: 5}, 20.0) == []


def test_workers_that_were_begun_before_there_was_a_job_count_by_what_they_had_since(tmp_path):
    """Ray begins some when its node starts, and writes the job into their logs with the first task."""
    ours, worker = NodeWatch("02000000"), "worker-5fe3"

    def wrote(job: str, text: str = "") -> Path:
        path = tmp_path / f"{worker}-{job}-77.out"
        path.write_text(text)
        return path

    assert ours._is_ours(wrote("02000000"))
    assert not ours._is_ours(wrote("03000000"))
    assert ours._is_ours(wrote("ffffffff"))  # it may get our next task
    assert ours._is_ours(wrote("ffffffff", ":job_id:02000000\n:task_name:f\n"))
    assert not ours._is_ours(wrote("ffffffff", ":job_id:03000000\n:task_name:f\n"))
