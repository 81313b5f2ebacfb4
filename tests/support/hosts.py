"""Three hosts in network namespaces, as far as one machine can have them: each Ray node has its own address on a
bridge, its own host name, its own scratch disk (a tmpfs) for Ray's sessions and for temporary files.

What they share is the file system that the run folder is in, as nodes of a cluster share theirs.
"""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.clusters import Cluster, end_family

_NUMBERS = itertools.count()


def command(*line: str) -> None:
    subprocess.run(line, check=True, capture_output=True, text=True)


class Hosts(Cluster):
    """A cluster with a host a node: 0 is the head's."""

    def __init__(self, folder: Path, temporary_mb: dict[int, int]) -> None:
        # of this process and this cluster: what was deleted a moment ago is gone only when its last process is
        own = os.getpid() * 8 + next(_NUMBERS)
        self.prefix = f"wn{own % 1_000_000}"
        self.network = f"10.{200 + own % 50}.{own // 50 % 250}"
        self.ip = self.ip_of(0)
        super().__init__(folder)
        self.temporary_mb = temporary_mb
        self.shared = folder.parent
        self.made = 0

    def ip_of(self, number: int) -> str:
        return f"{self.network}.{10 + number}"

    def name(self, number: int) -> str:
        return f"{self.prefix}h{number}"

    def link(self, number: int) -> str:
        """The bridge's side of a host's cable."""
        return f"{self.prefix}v{number}"

    def on_host(self, number: int) -> list[str]:
        """Inside its namespaces: a network, a host name and two disks of its own."""
        scratch, temporary = self.folder, self.shared / f"temporary-{number}"
        temporary.mkdir(exist_ok=True)
        mounts = f"mount -t tmpfs -o size={self.temporary_mb.get(number, 64)}m tmpfs {temporary}"
        if number:  # the head's log is read from outside
            mounts += f" && mount -t tmpfs -o size=512m tmpfs {scratch}"
        begin = f'hostname {self.name(number)} && {mounts} && export TMPDIR={temporary} && exec "$@"'
        return ["ip", "netns", "exec", self.name(number), "unshare", "-m", "-u", "bash", "-c", begin, "bash"]

    def make(self, count: int) -> None:
        """The bridge and the hosts on it.

        Raises:
            subprocess.CalledProcessError: this machine does not allow it.
        """
        bridge = f"{self.prefix}br"
        command("ip", "link", "add", bridge, "type", "bridge")
        command("ip", "address", "add", f"{self.network}.1/24", "dev", bridge)
        command("ip", "link", "set", bridge, "up")
        for number in range(count):
            host, link = self.name(number), self.link(number)
            command("ip", "netns", "add", host)
            self.made = number + 1
            command("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", host)
            command("ip", "link", "set", link, "master", bridge, "up")
            command("ip", "-n", host, "address", "add", f"{self.ip_of(number)}/24", "dev", "eth0")
            command("ip", "-n", host, "link", "set", "eth0", "up")
            command("ip", "-n", host, "link", "set", "lo", "up")

    def remove(self) -> None:
        """All that was made, by name; each link goes with its host."""
        for number in range(self.made):
            host = self.name(number)
            left = subprocess.run(["ip", "netns", "pids", host], check=False, capture_output=True, text=True).stdout
            for process in left.split():  # of jobs that outlived their node
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(process), signal.SIGKILL)
            subprocess.run(["ip", "netns", "delete", host], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", f"{self.prefix}br"], check=False, capture_output=True)

    def cut(self, number: int) -> None:
        """Take a host's link down: nothing reaches it, and it reaches nothing."""
        command("ip", "link", "set", self.link(number), "down")

    @contextlib.contextmanager
    def slowed(self, number: int, share: float) -> Iterator[None]:
        """A host that has only this share of its time: its processes stand still for the rest of each second."""
        over = threading.Event()
        node = psutil.Process(self.nodes[number].pid)

        def family() -> list[psutil.Process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                return [node, *node.children(recursive=True)]
            return []

        def hold() -> None:
            while not over.wait(share):
                stopped = family()
                for signal_number, seconds in ((signal.SIGSTOP, 1 - share), (signal.SIGCONT, 0.0)):
                    for process in stopped:
                        with contextlib.suppress(psutil.NoSuchProcess):
                            process.send_signal(signal_number)
                    time.sleep(seconds)

        holder = threading.Thread(target=hold, daemon=True)
        holder.start()
        try:
            yield
        finally:
            over.set()
            holder.join()


@contextlib.contextmanager
def three_hosts(temporary_mb: dict[int, int] | None = None) -> Iterator[Hosts]:
    """A head without cores and two hosts with one each; ``temporary_mb``: size of a host's disk for temporary files."""
    if os.geteuid() != 0 or not all(shutil.which(tool) for tool in ("ip", "unshare", "mount")):
        pytest.skip("hosts in network namespaces need root, ip, unshare and mount")
    with tempfile.TemporaryDirectory(prefix="wh", dir="/tmp", ignore_cleanup_errors=True) as shared:
        folder = Path(shared) / "ray"
        folder.mkdir()
        hosts = Hosts(folder, temporary_mb or {})
        try:
            try:
                hosts.make(3)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"this machine allows no network namespaces: {error.stderr.strip()}")
            hosts.start_head(0)
            yield hosts
        finally:
            for node in reversed(hosts.nodes):
                end_family(node)
            hosts.remove()
