"""A run that is asked to stop: no unit begins, running ones may commit, and after a grace time it ends at once.

SIGTERM comes from ``ray job stop``, a spot notice, Slurm or Kubernetes; SIGINT from Ctrl-C. The first one asks, the
second one (or the end of the grace time) insists. Nothing is lost in either case: committed units stay, and the same
command goes on.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from winnow.errors import ForcedStop, StoppedError, exit_code_of

ABRUPT_SECONDS = 5.0
"""How long a run that must end at once may take to let go of its lease."""


class Stop:
    """Whether this process was asked to stop. Without :meth:`heed`, it never is."""

    def __init__(self, grace_seconds: float = 60.0) -> None:
        self.grace_seconds = grace_seconds
        self.asked = threading.Event()
        self.signal_number = 0
        self._timers: list[threading.Timer] = []

    @contextlib.contextmanager
    def handle_signals(self) -> Iterator[None]:
        """Listen to SIGTERM and SIGINT inside this block. Only in the main thread; elsewhere nothing happens."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._heard) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            for timer in self._timers:
                timer.cancel()

    def raise_if_asked(self, stage: str, done: int, units: int) -> None:
        """Leave a stage that has work left.

        Raises:
            StoppedError: the process was asked to stop.
        """
        if self.asked.is_set():
            raise StoppedError(
                f"stopped in stage {stage}: {done:,} of its {units:,} units are committed; the same command goes on",
                self.signal_number,
            )

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        first = not self.asked.is_set()
        if first:
            self.signal_number = number
            self.asked.set()
            # not logged: the signal may have come in the middle of a log line, which cannot be begun again
            os.write(
                2,
                f"winnow: asked to stop ({signal.Signals(number).name}): no new units; running ones have "
                f"{self.grace_seconds:g} s to commit\n".encode(),
            )
            self._after(self.grace_seconds, self._insist)
            return
        self._after(ABRUPT_SECONDS, self._end_process)
        raise ForcedStop(self.signal_number)

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, act)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def _insist(self) -> None:
        self._after(ABRUPT_SECONDS, self._end_process)  # in case the main thread never comes to hear it
        os.kill(os.getpid(), self.signal_number)

    def _end_process(self) -> None:
        os._exit(exit_code_of(self.signal_number))


@contextlib.contextmanager
def handlers_kept() -> Iterator[None]:
    """Whatever is done in this block to the handlers of signals is undone at its end: ``ray.init`` sets its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
