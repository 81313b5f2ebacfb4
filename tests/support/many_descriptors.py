"""A process that holds more files open than select(2) can watch."""

import contextlib
import os
import resource
from collections.abc import Iterator

import pytest

FD_SETSIZE = 1024
"""Of select(2)."""


@contextlib.contextmanager
def many_descriptors() -> Iterator[None]:
    """What is opened meanwhile gets a number that select(2) refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * FD_SETSIZE
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted:,} open files, of which this user may have {hard:,}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    with contextlib.ExitStack() as held:
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        handle = -1
        while handle < FD_SETSIZE:
            handle = os.open(os.devnull, os.O_RDONLY)
            held.callback(os.close, handle)
        yield
