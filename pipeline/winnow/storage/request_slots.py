"""How many requests a node sends to one server at a time: slots that its processes take turns with."""

import contextlib
import fcntl
import hashlib
import random
import time
from collections.abc import Iterator
from pathlib import Path

from winnow.numeric.own_folder import own_folder

LOOK_SECONDS = 0.02
"""How often whoever waits for a slot looks, at least half of this apart."""


@contextlib.contextmanager
def request_slot(folder: Path, host: str, most: int) -> Iterator[None]:
    """Hold one of ``most`` slots of a server; free again with the block, also when the process dies.

    A slot is a locked file, so all processes of this user on this node share them.

    Raises:
        OSError: the folder cannot be used.
    """
    own_folder(folder, "set storage.scratch to a folder of your own")
    name = hashlib.sha256(host.encode()).hexdigest()[:24]
    while True:
        for number in range(most):
            with (folder / f"{name}-{number}").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield
                return
        time.sleep(LOOK_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311 - spreads those who wait, no more
