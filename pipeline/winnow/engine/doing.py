"""What this process is at, told at once where it may take long, and again every 15 s, by the clock and not by units."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

log = logging.getLogger("winnow.doing")

TELL_EVERY_SECONDS = 15.0
_now: list[Callable[[], str]] = []
"""What is being done, the innermost last."""


def say(what: str) -> None:
    """Tell something that may take a moment; on terminals, too."""
    log.info(what)


@contextlib.contextmanager
def doing(what: str | Callable[[], str]) -> Iterator[None]:
    """While this lasts, ``what`` is told every 15 s; a function is asked each time, and says nothing where empty."""
    tells = (lambda: what) if isinstance(what, str) else what
    _now.append(tells)
    try:
        yield
    finally:
        _now.remove(tells)


@contextlib.contextmanager
def told_by_the_clock() -> Iterator[None]:
    """While this lasts, a thread tells what this process is at, wherever its main thread waits; one in a process."""
    if any(thread.name == "doing" for thread in threading.enumerate()):
        yield
        return
    over = threading.Event()
    started = time.monotonic()

    def tell() -> None:
        while not over.wait(TELL_EVERY_SECONDS):
            what = _now[-1]() if _now else "at work"
            if what:
                log.info("%s (%.0f s since the start)", what, time.monotonic() - started)

    teller = threading.Thread(target=tell, daemon=True, name="doing")
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
