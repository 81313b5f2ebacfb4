"""What a stage asks of a cluster that can grow: a place for every unit that waits, and waiting that is told.

Ray Data asks an autoscaler for twice what it has, and only when tasks have ended: of 49 units, for one core. And it
looks for nodes that joined every 20 s. So its own requests carry what the stage at work needs, and a thread has it
look when nodes come and go.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

from winnow.engine.stopping import Stop

log = logging.getLogger("winnow")

LOOK_SECONDS = 2.0
"""How often to look whether nodes joined or left."""
SAY_SECONDS = 15.0
"""How often to say that something is waited for."""
Bundle = dict[str, float]


class Demand:
    """The units of a stage that have not come back, as cores and GPUs; an autoscaler need not know nodes' memory."""

    def __init__(self, units: int, needs: list[tuple[Bundle, int]]) -> None:
        """``needs``: what a unit takes, and the most of it at the same time."""
        self.left = units
        self._needs = needs

    def bundles(self) -> list[Bundle]:
        """One for each unit that is left."""
        return [dict(bundle) for bundle, most in self._needs for _ in range(min(self.left, most))]


_at_work: list[Demand] = []
"""Of the stage that this process runs; Ray Data's autoscaler has no other way to it."""


def joins_cluster() -> bool:
    """Whether the Ray at work is a cluster that others started, which can grow and shrink."""
    return bool(os.environ.get("RAY_ADDRESS"))


@contextlib.contextmanager
def asked_for(demand: Demand) -> Iterator[None]:
    """While this lasts, an autoscaler is asked for these units, and nodes that join are used."""
    if not joins_cluster():
        yield
        return
    _ask_in_ray_data()
    over = threading.Event()
    watcher = threading.Thread(target=_look_for_nodes, args=(over,), daemon=True, name="nodes")
    _at_work.append(demand)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        _at_work.remove(demand)
        watcher.join(LOOK_SECONDS)


def _ask_in_ray_data() -> None:
    """Have Ray Data's requests carry the demand. No setting does; of the tested Ray versions, left alone elsewhere."""
    from ray.data._internal.cluster_autoscaler import rate_based_cluster_autoscaler as rate_based  # noqa: PLC0415

    autoscaler: Any = rate_based.RateBasedClusterAutoscaler
    send = getattr(autoscaler, "_send_resource_request", None)
    if send is None or hasattr(send, "asks_for_units"):
        return

    def send_demand(self: Any, request: list[Bundle]) -> None:
        wanted = [bundle for demand in _at_work for bundle in demand.bundles()]
        send(self, wanted or request)

    send_demand.asks_for_units = True  # type: ignore[attr-defined]
    autoscaler._send_resource_request = send_demand


def _look_for_nodes(over: threading.Event) -> None:
    """Whenever nodes came or went, have Ray Data's coordinator look at once."""
    import ray  # noqa: PLC0415 - it is loaded
    from ray.data._internal.cluster_autoscaler import get_or_create_autoscaling_coordinator  # noqa: PLC0415

    known = _nodes()
    while not over.wait(LOOK_SECONDS):
        with contextlib.suppress(Exception):  # a cluster in trouble is told by those who need it
            now = _nodes()
            if now != known:
                known = now
                coordinator: Any = get_or_create_autoscaling_coordinator()  # type: ignore[no-untyped-call]
                ray.get(coordinator.get_reserved_resources.remote("", True), timeout=SAY_SECONDS)


def _nodes() -> set[str]:
    import ray  # noqa: PLC0415 - it is loaded

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return {node["NodeID"] for node in nodes if node["Alive"]}


def most_offered(resource: str, beside: str = "CPU") -> float | None:
    """The most of a resource that any node offers, of those that offer ``beside``, too; None: there is no such node."""
    import ray  # noqa: PLC0415 - it is loaded

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    offered = [node["Resources"] for node in nodes if node["Alive"]]
    return max((one.get(resource, 0.0) for one in offered if one.get(beside, 0) > 0), default=None)


def can_start(resource: str) -> bool:
    """Whether an autoscaler may start nodes that offer this resource."""
    from ray._private import state  # noqa: PLC0415 - it is loaded

    config: Any = state.state.get_cluster_config()
    groups = config.node_group_configs if config else []
    return any(group.resources.get(resource, 0) > 0 and group.max_count != 0 for group in groups)


def await_nodes(resource: str, bundle: Bundle, stop: Stop) -> None:
    """Wait until a node offers the resource, asking an autoscaler for one, and say so at once and every 15 s.

    Returns when this process is asked to stop, too.
    """
    if most_offered(resource, resource) is not None:
        return
    from ray.autoscaler.sdk import request_resources  # noqa: PLC0415

    started, said = time.monotonic(), 0.0
    while most_offered(resource, resource) is None:
        if not said or time.monotonic() - said >= SAY_SECONDS:
            said = time.monotonic()
            log.warning(
                "no node of the cluster offers a %s: waiting for one to join, since %.0f s (`ray status` on the head "
                "lists nodes; start some, or correct RAY_ADDRESS)",
                resource,
                said - started,
            )
            request_resources(bundles=[bundle])
        if stop.asked.wait(0.5):
            return
    log.warning("a node with a %s has joined", resource)
