"""Prometheus metrics exist in Ray under the names that they are given here."""

from winnow.engine import metrics


def test_every_metric_can_be_made():
    import ray  # noqa: F401 - as in a process that has joined a cluster

    for name, told in metrics.NAMES.items():
        assert metrics._metric(name).info["description"] == told
