"""Where the work of a stage is done, where the config leaves it open (`executor: auto`)."""

import sys
from pathlib import Path
from typing import Any, Literal

from winnow.engine.config import ComputeConfig
from winnow.engine.executors.demand import joins_cluster
from winnow.engine.executors.processes import workers_of

Executor = Literal["inline", "processes", "ray"]

SMALL_BYTES = 16_000_000
"""Less work than this is done in the driver: workers would have to load for longer than they save."""
LARGE_BYTES = 8_000_000_000
"""From here on Ray's start is under one hundredth of a run, and its scheduler places units by memory."""
_DEVICES = Path("/dev")


def choose_executor(config: ComputeConfig, work_bytes: int, *, on_gpu: bool = False) -> tuple[Executor, str]:
    """The executor of a stage with so much work, and why.

    Args:
        config: as the user wrote it; all but `auto` is taken as it stands.
        work_bytes: of the units that are to be done.
        on_gpu: whether the stage can use GPUs.
    """
    if config.executor != "auto":
        return config.executor, "as the config says"
    if joins_cluster():
        return "ray", "RAY_ADDRESS names a cluster"
    ray: Any = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        return "ray", "this process is connected to Ray"
    if on_gpu and config.gpus != 0 and (config.gpus != "auto" or _has_gpu()):
        return "ray", "GPUs are given out by Ray"
    if work_bytes < SMALL_BYTES:
        return "inline", f"under {SMALL_BYTES / 1e6:,.0f} MB to do"
    if work_bytes < LARGE_BYTES:
        return "processes", f"under {LARGE_BYTES / 1e9:,.0f} GB to do, and no cluster is joined"
    return "ray", f"{LARGE_BYTES / 1e9:,.0f} GB or more to do"


def described(executor: Executor, config: ComputeConfig) -> str:
    """Who does the units, for people."""
    if executor == "processes":
        return f"{workers_of(config)} processes of this machine"
    return {"inline": "this process", "ray": "Ray"}[executor]


def _has_gpu() -> bool:
    """Whether this machine has a device of NVIDIA's, as Ray would find it."""
    return any(_DEVICES.glob("nvidia[0-9]*")) or (_DEVICES / "dxg").exists()
