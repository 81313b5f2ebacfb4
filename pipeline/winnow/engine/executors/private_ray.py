"""A Ray of one command's own on this machine: started early, without what only a cluster needs, and left quickly.

``ray.init`` starts a job and dashboard server, the autoscaler's monitor and a log reader, each of them a Python process
of a second's work, and waits for the first before it starts the node; then it asks once a second whether the node
is there. The node starts two more (:mod:`lean_node`), and each worker as a Python of its own (:mod:`worker_template`).
A Ray that one command starts and ends has no use for them: on two cores the first task ran after 1.9 seconds instead
of 4.8 before the last two were left out, and Ray is gone after 0.4 instead of 1.6.

Ray has no settings for this. What is replaced here are methods of the tested Ray versions; where they are gone, Ray
starts as it does by itself.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from winnow.engine.executors.cores import usable_cores
from winnow.engine.executors.lean_node import lean_command
from winnow.engine.executors.worker_template import WorkerTemplate
from winnow.errors import ClusterError, WinnowError
from winnow.numeric.own_folder import own_folder

UNUSED_PROCESSES = ("start_api_server", "start_monitor", "start_log_monitor")
"""Methods of Ray's node that start them."""
LOOK_SECONDS = 0.02
"""How often to ask whether the node has come up."""
LAUNCH_SECONDS = 2.0
"""How long a caller waits at most for Ray's processes to be on their way."""
WAIT_SECONDS = 120.0
"""After this the question is left to Ray, which gives up 30 s later: too early on a machine that is busy."""

START_SECONDS = 300.0
"""After this a start is given up: Ray waits without end for a first worker that has died."""

SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - their own folders in them, looked at before use
"""Where Ray's sockets go when the temporary folder's path is too long for them."""
_SOCKET = "/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.10"
MAX_TEMPORARY_BYTES = (103 if sys.platform == "darwin" else 107) - len(_SOCKET)
"""Longest temporary folder that leaves room for a socket's name in an address of the system (unix(7))."""

log = logging.getLogger("winnow")
_starts: list["_Start"] = []
"""The one start of this process, if there was one."""


class _Start:
    """Ray coming up in a thread of its own, which then stays: Ray's processes end with the thread that started them."""

    def __init__(self, num_cpus: int, modules: tuple[str, ...]) -> None:
        self.num_cpus = num_cpus
        self.modules = modules
        self.template: WorkerTemplate | None = None
        self.process = os.getpid()
        self.error: BaseException | None = None
        self.launched, self.done = threading.Event(), threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self.template = _start_ray(self.num_cpus, self.launched, self.modules)
        except BaseException as error:  # noqa: BLE001 - raised again where somebody waits for it
            self.error = error
        self.launched.set()
        self.done.set()
        threading.Event().wait()


def cores_of(workers: object) -> int:
    """Cores of a Ray on this machine: one a worker, and all that this process may use for `auto`."""
    return workers if isinstance(workers, int) else usable_cores()


def is_begun() -> bool:
    """Whether somebody has begun to start Ray in this process."""
    ray: Any = sys.modules.get("ray")
    return bool(_starts) or (ray is not None and ray.is_initialized())


def is_ours() -> bool:
    """Whether the Ray at work is one that this process has begun."""
    return bool(_starts) and _starts[-1].process == os.getpid()


def quiet_ray_environment() -> None:
    """Settings that Ray reads from the environment when it is imported; what the user has set is left alone."""
    for name, value in {
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",  # our own bars count units and MB
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else `uv run` uploads the folder and restarts every worker through uv
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_DEDUP_LOGS": "1",
    }.items():
        os.environ.setdefault(name, value)


def begin_start(num_cpus: int, modules: tuple[str, ...] = ()) -> None:
    """Start Ray with so many cores while the caller does something else; :func:`finish_start` waits for it.

    Returns when Ray's processes are on their way: until then imports of the caller would only delay them. All workers
    have ``modules`` (:mod:`worker_template`).
    """
    _starts.append(_Start(num_cpus, modules))
    _starts[-1].launched.wait(LAUNCH_SECONDS)


def finish_start(num_cpus: int, modules: tuple[str, ...] = ()) -> None:
    """Wait until Ray is there, starting it if nobody has begun to; nothing where the caller has one already.

    Args:
        num_cpus: as for :func:`begin_start`.
        modules: likewise.

    Raises:
        ClusterError: Ray did not start; the message says why.
    """
    if not _starts or _starts[-1].done.is_set():
        ray: Any = sys.modules.get("ray")
        if ray is not None and ray.is_initialized():
            return
        if not _starts or _starts[-1].error is None:
            begin_start(num_cpus, modules)
    start = _starts[-1]
    if not start.done.wait(START_SECONDS):
        start.error = TimeoutError(f"it has not come up within {START_SECONDS:.0f} s")
    if isinstance(start.error, Exception) and not isinstance(start.error, WinnowError):
        raise ClusterError(
            f"Ray did not start on this machine: {type(start.error).__name__}: {start.error}. Its logs are in "
            f"{_temporary_folder()}/ray/session_latest/logs; the usual cause is a machine that is short of memory or "
            "processor time. Run the same command again, or set compute.executor: processes, which needs no Ray"
        ) from start.error
    if start.error is not None:
        raise start.error


def _start_ray(num_cpus: int, launched: threading.Event, modules: tuple[str, ...]) -> WorkerTemplate | None:
    quiet_ray_environment()
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a private cluster on the loopback interface
    # what a task tells is here at once, so no thread has to wait for it; with one, its end is seen a look later
    os.environ.setdefault("RAY_DATA_METADATA_PREFETCH_ON_THREAD", "0")
    template = WorkerTemplate(modules) if sys.platform == "linux" else None
    import ray  # noqa: PLC0415 - takes a second that `inline` and `--help` need not pay

    with lean_start(launched, template):
        ray.init(
            num_cpus=num_cpus,
            include_dashboard=False,
            object_store_memory=200_000_000,
            configure_logging=True,
            logging_level=logging.ERROR,
            log_to_driver=False,
            _temp_dir=_short_temporary_folder(),
        )
    _begin_workers(num_cpus)
    return template


def _begin_workers(number: int) -> None:
    """Have the node begin so many workers; does not wait. It begins some for tasks alone (:mod:`lean_node`), and one
    worker more than there are tasks."""
    import ray  # noqa: PLC0415 - it is loaded

    remote: Any = ray.remote(num_cpus=1)
    task = remote(_do_nothing)
    for _ in range(max(1, number - 1)):
        task.remote()


def _do_nothing() -> None:
    """A task for a worker to begin for."""


def _temporary_folder() -> str:
    return os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - as Ray chooses


def _short_temporary_folder() -> str | None:
    """Where Ray's sockets go if the folder that it would take makes their paths too long; else None.

    Raises:
        ClusterError: there is no folder with a short path.
    """
    given = _temporary_folder()
    if len(os.fsencode(given)) <= MAX_TEMPORARY_BYTES:
        return None
    for parent in SHORT_FOLDERS:
        with contextlib.suppress(OSError):
            folder = own_folder(Path(parent) / f"winnow-ray-{os.getuid()}", "set RAY_TMPDIR")
            if os.access(folder, os.W_OK):
                log.warning(
                    "TMPDIR is %d bytes long, and Ray's sockets have room for %d: sockets and logs of Ray go to %s",
                    len(os.fsencode(given)),
                    MAX_TEMPORARY_BYTES,
                    folder,
                )
                return str(folder / "r")  # Ray lets everybody write what it is given; the folder above stays ours
    raise ClusterError(
        f"TMPDIR ({given}) is {len(os.fsencode(given))} bytes long, and Ray's sockets have room for "
        f"{MAX_TEMPORARY_BYTES}; set RAY_TMPDIR to a folder with a short path that this user can write"
    )


def leave_ray() -> bool:
    """End the Ray that this process started, quickly; returns whether there was one. The caller then ends the process.

    On Linux what ``ray.shutdown`` has not ended by then, or what is only just starting, dies with this process (Ray
    asks the kernel for it).
    """
    if not is_ours():
        return False
    start = _starts[-1]
    if sys.platform == "linux" and not start.done.is_set():
        return True
    start.done.wait()
    import ray  # noqa: PLC0415 - it is loaded

    ending = threading.Thread(target=ray.shutdown, daemon=True)
    ending.start()
    ending.join(0.7 if sys.platform == "linux" else None)
    return True


@contextlib.contextmanager
def lean_start(launched: threading.Event, template: WorkerTemplate | None = None) -> Iterator[None]:
    """While this lasts, ``ray.init`` starts only what runs tasks, and sees at once when that is there.

    ``launched`` is set when Ray's processes have been started, and only their coming up is waited for. Workers are
    forks of the ``template``, if there is one.
    """
    from ray._private import node, services, utils  # noqa: PLC0415 - takes a second, as ray itself

    replaced: list[tuple[Any, str, Any]] = []

    def replace(owner: Any, name: str, value: Any) -> None:
        if hasattr(owner, name):
            replaced.append((owner, name, getattr(owner, name)))
            setattr(owner, name, value)

    for name in UNUSED_PROCESSES:
        replace(node.Node, name, _start_nothing)
    replace(utils, "get_dashboard_dependency_error", _without_dashboard)
    if hasattr(services, "get_node"):
        replace(services, "get_node", _look_often(services.get_node, launched))
    if hasattr(services, "start_ray_process"):
        replace(services, "start_ray_process", _start_lean(services.start_ray_process, template))
    try:
        yield
    finally:
        for owner, name, value in replaced:
            setattr(owner, name, value)


def _start_nothing(_node: Any, *_arguments: Any, **_options: Any) -> None:
    """Stands for a method that starts a process."""


def _without_dashboard() -> ImportError:
    """Says that what a dashboard needs is not there: Ray would import it to see, for a sixth of a second."""
    return ImportError("left out")


def _start_lean(start_process: Any, template: WorkerTemplate | None) -> Any:
    """``services.start_ray_process`` with the commands of a node that are told in :mod:`lean_node`."""

    def start(command: list[str], *arguments: Any, **options: Any) -> Any:
        return start_process(lean_command(command, None if template is None else template.name), *arguments, **options)

    return start


def _look_often(get_node: Any, launched: threading.Event) -> Any:
    """``services.get_node`` sleeps a second when the node is not there yet; so it is asked only when it is."""

    def get_present_node(gcs_address: str, node_id: str) -> Any:
        launched.set()
        with contextlib.suppress(Exception):  # Ray's own way says what is wrong
            from ray._raylet import GcsClient  # type: ignore[attr-defined]  # noqa: PLC0415

            client: Any = GcsClient(address=gcs_address)
            end = time.monotonic() + WAIT_SECONDS
            while time.monotonic() < end:
                if node_id in {key.hex() for key in client.get_all_node_info(timeout=1)}:
                    break
                time.sleep(LOOK_SECONDS)
        return get_node(gcs_address, node_id)

    return get_present_node
