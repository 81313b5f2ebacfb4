"""Ray Data without the two actors that it begins: one keeps figures for a dashboard, one asks a cluster to grow.

Each is a Python process that imports Ray Data for a second, and the first dataset waits for the one that numbers
datasets. A private Ray has neither a dashboard nor other nodes. Ray Data has no settings for this: these are methods of
the tested versions, and where they are gone it begins its actors.
"""

import itertools
from typing import Any

TOLD = ("update_execution_metrics", "update_iteration_metrics", "register_dataset_to_stats_actor")
"""What Ray Data's stats manager tells the actor that keeps figures."""
RESOURCES = ("CPU", "GPU", "memory", "object_store_memory")
"""What Ray Data plans with."""
_numbers = itertools.count()


class OneNode:
    """Stands for Ray Data's autoscaling coordinator where nothing can grow: all that there is, at once."""

    def __init__(self, *_arguments: object, **_options: object) -> None:
        """Whoever asks gets the same."""
        import ray  # noqa: PLC0415 - it is loaded

        there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        self._there = {name: there[name] for name in RESOURCES if name in there}

    def request_resources(self, *_arguments: object, **_options: object) -> None:
        """Nobody is asked."""

    def cancel_request(self) -> None:
        """Nothing was asked for."""

    def get_reserved_resources(self) -> dict[str, dict[str, float]]:
        """By node: what Ray has in all. It is asked again and again, ten times a second."""
        return {"": self._there}


def leave_out_actors() -> None:
    """From now on datasets of this process go without them."""
    from ray.data._internal import metadata_exporter, stats  # noqa: PLC0415 - it is loaded
    from ray.data._internal.cluster_autoscaler import rate_based_cluster_autoscaler as rate_based  # noqa: PLC0415

    manager: Any = getattr(stats, "_StatsManager", None)
    for name in TOLD:
        if hasattr(manager, name):
            setattr(manager, name, staticmethod(_tell_nobody))
    described: Any = getattr(metadata_exporter, "Topology", None)
    if hasattr(described, "create_topology_metadata"):  # copies all that a dataset has, for nobody then
        described.create_topology_metadata = staticmethod(_tell_nobody)
    if hasattr(manager, "gen_dataset_id_from_stats_actor"):
        manager.gen_dataset_id_from_stats_actor = staticmethod(_next_number)
    if hasattr(rate_based, "DefaultAutoscalingCoordinator"):
        rate_based.DefaultAutoscalingCoordinator = OneNode


def _tell_nobody(*_arguments: object, **_options: object) -> None:
    """Stands for a method that tells an actor."""


def _next_number() -> str:
    return str(next(_numbers))
