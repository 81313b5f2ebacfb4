"""Which Ray does the work: the cluster that RAY_ADDRESS names, or one of our own on this machine."""

import logging
import os
import socket
from pathlib import Path
from typing import Any, Literal

from winnow.engine.doing import say
from winnow.engine.executors import lost_ray, private_ray
from winnow.engine.executors.demand import await_nodes, joins_cluster, most_offered
from winnow.engine.stage import Stage
from winnow.engine.stopping import Stop, handlers_kept
from winnow.errors import ClusterError

Workers = int | Literal["auto"]


def connect_ray(workers: Workers, worker_memory_mb: int, stop: Stop, modules: tuple[str, ...] = ()) -> None:
    """Join the cluster that RAY_ADDRESS names (``ray job submit`` sets it), or start Ray on this machine.

    Where no node offers a core yet, this waits for one, and says so. All workers of a Ray that is started here have
    ``modules``.

    Raises:
        ClusterError: nobody is there, or no node has the memory for a worker.
    """
    if joins_cluster():
        _join_cluster(os.environ["RAY_ADDRESS"])
    else:
        private_ray.finish_start(private_ray.cores_of(workers), modules)
    await_nodes("CPU", {"CPU": 1}, stop)
    offered = most_offered("memory")
    if offered is not None and offered < worker_memory_mb * 1_000_000:
        raise ClusterError(
            f"compute.worker_memory_mb ({worker_memory_mb:,}) is more than any node offers to Ray "
            f"({offered / 1e6:,.0f} MB); lower it or use larger nodes"
        )


def tell_start(workers: Workers) -> None:
    """Say which Ray is waited for, where it is not there yet."""
    if joins_cluster():
        say(f"joining the Ray cluster at {os.environ['RAY_ADDRESS']}")
    elif not private_ray.is_begun():
        say(f"starting Ray on this machine, {private_ray.cores_of(workers)} cores")


def _join_cluster(address: str) -> None:
    private_ray.quiet_ray_environment()
    import ray  # noqa: PLC0415 - takes a second that `inline` and `--help` need not pay

    if not ray.is_initialized():
        _reach(address)
        with handlers_kept():
            ray.init(
                configure_logging=True,
                logging_level=logging.ERROR,
                log_to_driver=False,
                runtime_env=_code_to_send(),
            )
        lost_ray.watch_cluster()


def _code_to_send() -> dict[str, Any]:
    """This package for the workers, where it runs from a checkout and the nodes need not have it installed."""
    package = Path(__file__).resolve().parents[2]
    installed = package.parent.name in ("site-packages", "dist-packages")
    return {} if installed else {"py_modules": [str(package)]}


def _reach(address: str) -> None:
    """Say within seconds when nobody is at the cluster's address; Ray itself would try for a long time."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return  # `auto` and the like: Ray knows
    try:
        socket.create_connection((host, int(port)), timeout=20).close()
    except OSError as error:
        raise ClusterError(
            f"RAY_ADDRESS is {address}, but nobody answers there ({error}); start the cluster, correct the address, or "
            "unset RAY_ADDRESS to use this machine"
        ) from error


def prestart_workers(stage: Stage, workers: Workers) -> None:
    """Let workers start and load what the stage needs while the driver still prepares the work. Does not wait."""
    import ray  # noqa: PLC0415

    if stage.prepare is not None:
        prepare = ray.remote(num_cpus=1)(stage.prepare)
        for _ in range(slots(workers)):
            prepare.remote(stage.settings)


def host_of(node: str) -> str:
    """The host name and address of one of Ray's nodes, for messages."""
    import ray  # noqa: PLC0415 - it is loaded

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    found = next((entry for entry in nodes if entry["NodeID"] == node), None)
    return node if found is None else f"{found['NodeManagerHostname']} ({found['NodeManagerAddress']})"


def slots(workers: Workers) -> int:
    """Units at the same time: as configured, or one a core of the cluster."""
    import ray  # noqa: PLC0415

    if isinstance(workers, int):
        return workers
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return max(1, int(resources.get("CPU", 1)))
