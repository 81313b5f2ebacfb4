"""A Ray cluster as a user starts it (`ray start`), on ports of its own, ended by the processes that were started."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_metrics_report_interval_ms": "500",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "PYTHONPATH": os.environ["PYTHONPATH"],
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
}


def installed(folder: Path) -> Path:
    """A folder with the one package that an installation makes: the library, and ``jobs`` as ``winnow.jobs``."""
    package = folder / "winnow"
    package.mkdir(parents=True)
    for entry in (ROOT / "pipeline" / "winnow").iterdir():
        (package / entry.name).symlink_to(entry)
    (package / "jobs").symlink_to(ROOT / "jobs")
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_family(process: subprocess.Popen) -> None:
    """Kill a process and all below it, by their ids."""
    family = []
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
    for member in [process, *family]:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()


def _autoscaling(node_types: dict, gcs_address: str) -> dict:
    types = {name: {"node_config": {}, "min_workers": 0, **node} for name, node in node_types.items()}
    head = {"resources": {}, "node_config": {}, "max_workers": 0}
    return {
        "cluster_name": "fake_multinode",
        "max_workers": 8,
        "provider": {
            "type": "fake_multinode",
            "gcs_address": gcs_address,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "available_node_types": {"ray.head.default": head, **types},
        "head_node_type": "ray.head.default",
        "upscaling_speed": 100.0,
        "idle_timeout_minutes": 5,
        "auth": {},
        "file_mounts": {},
        "docker": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "initialization_commands": [],
        "setup_commands": [],
        "head_setup_commands": [],
        "worker_setup_commands": [],
        "head_start_ray_commands": [],
        "worker_start_ray_commands": [],
    }


class Cluster:
    """A cluster whose nodes are all on this host.

    Args:
        folder: for logs and sockets.
        python: whose ``ray`` the nodes run, without ``PYTHONPATH``; by default that of the tests, with Winnow on it.
    """

    ip = "127.0.0.1"

    def __init__(self, folder: Path, python: Path | None = None) -> None:
        self.folder = folder
        self.ray = [str(python or sys.executable), "-m", "ray.scripts.scripts"]
        self.environment = os.environ | ENVIRONMENT
        if python is None:
            self.environment["PYTHONPATH"] = f"{installed(folder / 'site')}:{ENVIRONMENT['PYTHONPATH']}"
        else:
            self.environment["PATH"] = f"{python.parent}:{os.environ['PATH']}"
            del self.environment["PYTHONPATH"]
        self.port, self.dashboard, self.metrics = free_port(), free_port(), free_port()
        self.address = f"http://{self.ip}:{self.dashboard}"
        self.nodes: list[subprocess.Popen] = []

    def _start(self, *more: str) -> subprocess.Popen:
        number = len(self.nodes)
        line = [
            *self.on_host(number),
            *(*self.ray, "start", "--block", "--disable-usage-stats"),
            *(f"--node-ip-address={self.ip_of(number)}", f"--dashboard-agent-listen-port={free_port()}"),
            *("--object-store-memory=80000000", "--memory=8000000000"),
            *more,
        ]
        log = (self.folder / f"node-{len(self.nodes)}.log").open("w")
        self.nodes.append(subprocess.Popen(line, stdout=log, stderr=log, env=self.environment))
        return self.nodes[-1]

    def ip_of(self, number: int) -> str:
        """Address of a node; 0 is the head."""
        return self.ip

    def on_host(self, number: int) -> list[str]:
        """What the command of a node begins with."""
        return []

    def start_head(self, cpus: int = 2, node_types: dict | None = None, gpus: int = 0) -> None:
        """The head; with ``node_types`` (``resources`` and ``max_workers`` by name), Ray's fake autoscaler adds nodes
        of them on this host. `ray.cluster_utils.AutoscalingCluster` does so, too, but ends every Ray of the machine.
        """
        more = ()
        if node_types is not None:
            path = self.folder / "autoscaling.json"
            path.write_text(json.dumps(_autoscaling(node_types, f"{self.ip}:{self.port}")))
            more = (f"--autoscaling-config={path}",)
            self.environment |= {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
        process = self._start(
            *more,
            "--head",
            f"--port={self.port}",
            f"--dashboard-port={self.dashboard}",
            f"--dashboard-host={self.ip}",
            f"--ray-client-server-port={free_port()}",
            f"--num-cpus={cpus}",
            f"--num-gpus={gpus}",
            f"--metrics-export-port={self.metrics}",
            f"--temp-dir={self.folder}",
        )
        from ray.job_submission import JobSubmissionClient

        deadline = time.monotonic() + 120
        while True:
            try:
                JobSubmissionClient(self.address)
                return
            except (ConnectionError, RuntimeError):
                log = self.folder / "node-0.log"
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.5)

    def start_worker(self, cpus: int = 1, gpus: int = 0) -> subprocess.Popen:
        """A further node, once it runs: two that start at one moment on one host choose the same socket names."""
        process = self._start(f"--address={self.ip}:{self.port}", f"--num-cpus={cpus}", f"--num-gpus={gpus}")
        log, deadline = self.folder / f"node-{len(self.nodes) - 1}.log", time.monotonic() + 120
        while "Ray runtime started" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        return process


@contextlib.contextmanager
def cluster(
    cpus: int = 2, python: Path | None = None, node_types: dict | None = None, gpus: int = 0
) -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="wc", dir="/tmp", ignore_cleanup_errors=True) as folder:
        running = Cluster(Path(folder), python)
        try:
            running.start_head(cpus, node_types, gpus)
            yield running
        finally:
            for node in reversed(running.nodes):
                end_family(node)
