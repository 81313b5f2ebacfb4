"""Who counts as frozen, without a cluster; tests/faults freezes some."""

from winnow.engine.executors.frozen_workers import FrozenWorkers


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
