"""Cores and memory that this process may use, which are often fewer than the machine has."""

import contextlib
import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MEMORY = Path("/proc/meminfo")
_MEMBERSHIP = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """At least 1: the cores of the affinity (taskset, Slurm, cpusets), or fewer where a control group gives this
    process less time than that (`docker --cpus`, limits of Kubernetes)."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([affinity, *map(math.ceil, _quotas())]))


def _quotas() -> list[float]:
    """Cores by which this process's control group, and those above it, limit it; none: no limit.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst (cpu.max) and scheduler/sched-bwc.rst (v1).
    """
    found = []
    for folder in _groups():
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = (folder / "cpu.max").read_text().split()
            found.append(int(quota) / int(period))  # "max" is no number: no limit
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = ((folder / f"cpu.cfs_{what}_us").read_text() for what in ("quota", "period"))
            found.append(int(quota) / int(period))
    return [quota for quota in found if quota > 0]


def usable_memory() -> int:
    """Bytes: what the machine has free, or less where a control group leaves this process less than that; where
    neither can be told, more than any machine has.

    Source: Linux, proc(5), /proc/meminfo; admin-guide/cgroup-v2.rst (memory.max) and cgroup-v1/memory.rst.
    """
    found = [1 << 60]
    with contextlib.suppress(OSError, ValueError, IndexError):
        free = _MEMORY.read_text().partition("MemAvailable:")[2].split()[0]
        found.append(int(free) * 1024)
    for folder in (*_groups(), _CGROUPS / "memory"):
        for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            with contextlib.suppress(OSError, ValueError):  # "max" is no number: no limit
                found.append(int((folder / limit).read_text()) - int((folder / used).read_text()))
    return max(0, min(found))


def _groups() -> list[Path]:
    """Folders of the groups; a container often sees its own as the root alone."""
    folders = [_CGROUPS, _CGROUPS / "cpu"]
    with contextlib.suppress(OSError, ValueError):
        for line in _MEMBERSHIP.read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers == "" or "cpu" in controllers.split(","):
                root = _CGROUPS if controllers == "" else _CGROUPS / "cpu"
                parts = [part for part in group.split("/") if part and part != ".."]
                folders += [root.joinpath(*parts[:length]) for length in range(1, len(parts) + 1)]
    return folders
