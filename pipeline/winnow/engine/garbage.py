"""Python's search for garbage: it goes over every object there is, again and again, a tenth of a small run's time."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def kept_to_the_end() -> Iterator[None]:
    """What the block makes, imported modules above all, is never looked through: not meanwhile, and not later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
