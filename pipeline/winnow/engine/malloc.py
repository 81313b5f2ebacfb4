"""How a worker deals with memory that it frees: it keeps it for the next batch."""

import contextlib
import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt, from glibc's malloc.h
_KEPT_BYTES = 1 << 30
_LARGEST_KEPT_BYTES = 32 << 20  # glibc takes no larger value


@cache
def keep_freed_memory() -> None:
    """Let malloc keep up to 1 GB of freed memory; once a process, and only where the C library is glibc.

    Every batch needs the same buffers again. By default glibc gives large ones back to the system at once, and the
    system clears each page anew: a tenth of a worker's time was spent in there. The peak stays what it was.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):  # another C library: nothing to set
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
