"""A lock between the processes of a node: a file that one of them holds."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a file, made if it is not there, while others wait; released with the block, also when the process dies.

    Raises:
        BlockingIOError: somebody holds it, and the caller does not want to wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
