"""Workers that stand still outside of any unit: frozen as they start, idle, or between two units.

They have left no note of what they are at (:mod:`stuck_workers`), and Ray waits for them for ever. So an actor on each
node looks whether this job's workers move: a live one switches context several times a second, idle or not.
"""

import contextlib
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

Steps = dict[int, int]
"""By process: how much it has moved since it began, in context switches and clock ticks."""
LOOK_TIMEOUT_SECONDS = 20.0
OF_NO_JOB = "ffffffff"
"""In place of a job in the name of a worker's log: it was begun before there was one."""
MARK = re.compile(rb"^:job_id:([0-9a-f]+)$", re.MULTILINE)
TOLD_BYTES = 4096
"""So much of a log is looked through for the mark."""


class NodeWatch:
    """On one node: this job's workers. An actor, because an idle worker that is frozen may be given tasks."""

    def __init__(self, job: str) -> None:
        self._job = job

    def steps(self) -> Steps:
        """How much each worker but this one has moved; only where there is /proc."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError, IndexError):  # it ended meanwhile, or is another user's
                process = int(folder.name)
                title = (folder / "cmdline").read_bytes()
                if process == os.getpid() or not title.startswith(b"ray::"):
                    continue
                if not self._is_ours((folder / "fd" / "1").readlink()):
                    continue
                # where it runs a task, other threads may move for a main one that never will; else that one waits
                runs_task = title.startswith(b"ray::MapBatches(")
                threads = [folder / "task" / folder.name] if runs_task else (folder / "task").iterdir()
                found[process] = sum(map(_moved, threads))
        return found

    def _is_ours(self, log: Path) -> bool:
        """Whether it is a worker of this job, by the file that it writes to, or one that no job has had yet."""
        _worker, _id, begun_for, _process = log.name.split("-")  # worker-<worker>-<job>-<process>.out
        if begun_for != OF_NO_JOB:
            return begun_for == self._job
        with log.open("rb") as file:
            told = MARK.findall(file.read(TOLD_BYTES))  # Ray writes it when the worker gets a task of the job
        return not told or told[-1].decode() == self._job

    def kill(self, process: int) -> None:
        """End a worker."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _moved(thread: Path) -> int:
    status = (thread / "status").read_text()
    switches = [int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line]
    ticks = (thread / "stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(switches) + sum(map(int, ticks))


class FrozenWorkers:
    """Of a whole cluster: asked again and again, it names workers that have not moved for so long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._watches: dict[str, Any] = {}
        self._since: dict[tuple[str, int], tuple[int, float]] = {}

    def look(self) -> list[tuple[str, int]]:
        """Node and process of each worker that stood still for longer; they are killed."""
        import ray  # noqa: PLC0415 - it is loaded
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

        remote: Any = ray.remote
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        alive = {node["NodeID"] for node in nodes if node["Alive"]}
        self._watches = {node: watch for node, watch in self._watches.items() if node in alive}
        for node in alive - self._watches.keys():
            here = NodeAffinitySchedulingStrategy(node, soft=False)
            watch = remote(num_cpus=0, max_restarts=0, scheduling_strategy=here)(NodeWatch)
            self._watches[node] = watch.remote(ray.get_runtime_context().get_job_id())
        asked = {watch.steps.remote(): node for node, watch in self._watches.items()}
        ready, _ = ray.wait(list(asked), num_returns=len(asked), timeout=LOOK_TIMEOUT_SECONDS)
        frozen = []
        for answer in ready:
            with contextlib.suppress(ray.exceptions.RayError):  # its node is going
                steps: Steps = ray.get(answer)
                frozen += self._frozen(asked[answer], steps, time.monotonic())
        for node, process in frozen:
            self._watches[node].kill.remote(process)
        return frozen

    def _frozen(self, node: str, steps: Steps, now: float) -> list[tuple[str, int]]:
        before = {key: value for key, value in self._since.items() if key[0] == node}
        for key in before:
            del self._since[key]
        for process, moved in steps.items():
            known = before.get((node, process))
            self._since[node, process] = known if known is not None and known[0] == moved else (moved, now)
        found = [key for key, (_, since) in self._since.items() if key[0] == node and now - since > self._seconds]
        for key in found:
            del self._since[key]
        return found
