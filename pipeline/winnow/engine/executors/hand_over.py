"""How soon Ray Data's loop hands a worker its next task.

Ray Data has no settings for this: constants and names of the tested Ray versions, left alone where they are gone.
"""

from types import ModuleType
from typing import Any

HAND_OVER_SECONDS = 0.05
"""How long Ray Data's loop sleeps at most before it looks around; its own is 0.1 s."""
GATHER_SECONDS, GATHER_SECONDS_A_TASK = 0.01, 1e-5
"""How long it waits for others when a task has ended, up to HAND_OVER_SECONDS. Each look takes some milliseconds of the
driver, and more the more tasks run."""
LIMITS_SECONDS = 0.1
"""How old what Ray Data knows of the cluster may be. It begins with nothing, and with its own 1 s each stage ran
one task for its first second, however large the cluster."""


class FirstReady:
    """Stands for the module ``ray`` in Ray Data's loop, which waits until *all* running tasks have something to tell,
    or its time is over. So of two tasks of 0.1 s the first to end was noticed with the second, or 0.05 s later."""

    def __init__(self, ray: ModuleType) -> None:
        """``ray`` does all else."""
        self._ray: Any = ray

    def __getattr__(self, name: str) -> Any:
        """Whatever is not replaced."""
        return getattr(self._ray, name)

    def wait(self, tasks: list[Any], *, num_returns: int = 1, timeout: float | None = None, **options: Any) -> Any:
        """As ``ray.wait``, but over some milliseconds after the first is ready; those ready by then are returned."""
        found = self._ray.wait(tasks, num_returns=1, timeout=timeout, **options)
        if num_returns == 1 or not found[0]:
            return found
        gather = min(HAND_OVER_SECONDS, GATHER_SECONDS + GATHER_SECONDS_A_TASK * len(tasks))
        return self._ray.wait(tasks, num_returns=num_returns, timeout=gather, **options)


def hand_over_quickly() -> None:
    """From now on datasets of this process hand their tasks over as told above."""
    import ray  # noqa: PLC0415 - takes a second that others need not pay
    from ray.data._internal.execution import resource_manager, streaming_executor_state  # noqa: PLC0415

    loop: Any = streaming_executor_state
    if hasattr(loop, "WAIT_FOR_TASK_COMPLETION_TIMEOUT_S"):
        loop.WAIT_FOR_TASK_COMPLETION_TIMEOUT_S = HAND_OVER_SECONDS
    if getattr(loop, "ray", None) is ray:
        loop.ray = FirstReady(ray)
    manager: Any = resource_manager.ResourceManager
    if hasattr(manager, "GLOBAL_LIMITS_UPDATE_INTERVAL_S"):
        manager.GLOBAL_LIMITS_UPDATE_INTERVAL_S = LIMITS_SECONDS
