"""That work grows as its input does, on machines that other work shares."""

import gc
import time
from collections.abc import Callable

TRIES = 5


def grows_linearly(work: Callable[[int], object], small: int, large: int) -> bool:
    """Whether some try takes at most three times as long by size on the larger input; quadratic work never does.

    Processor time of this process, without garbage collection: the heap of a test process takes part of a second.
    ``large`` is at least eight times ``small``; under a millisecond counts as one.
    """
    assert large >= 8 * small
    work(small)  # what the first call compiles, imports and caches
    return any(seconds(work, large) <= 3 * large / small * max(seconds(work, small), 0.001) for _ in range(TRIES))


def seconds(work: Callable[[int], object], size: int) -> float:
    """Processor time of one call, without garbage collection."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        began = time.process_time()
        work(size)
        return time.process_time() - began
    finally:
        if was_on:
            gc.enable()
