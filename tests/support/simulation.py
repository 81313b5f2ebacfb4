"""A world in one process: processes on hosts, their threads, a store and a clock, all told by one seed.

Threads are real, and one at a time works: whoever waits (for an answer of the store, for a time, for another thread)
hands over to whoever comes next by the world's clock. So a schedule is a function of its seed. Of code that runs in it,
calls of the operating system below a folder, requests to object stores, clocks, sleeps, process numbers and host names
are the world's; nothing of that code is replaced.
"""

import contextlib
import heapq
import itertools
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

START = 1_700_000_000.0
_here = threading.local()
_worlds: list["World"] = []
"""The one that is there, if there is one."""


class KilledError(BaseException):
    """The thread's process is no more: it unwinds, and whatever it calls on the way does nothing."""


@dataclass
class Process:
    """A process of some host."""

    host: str
    pid: int
    alive: bool = True
    frozen_until: float = 0.0
    """It stands still until then, and does not know."""
    troubled: float = 0.0
    """When it was last slow, or refused something."""
    skew: float = 0.0
    """Of its host's clock."""
    threads: list["Thread"] = field(default_factory=list)


class Event:
    """As threading has it."""

    def __init__(self) -> None:
        self._set = False
        self._waiting: list[Thread] = []

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        for thread in self._waiting:
            thread.world.wake(thread, 0.0)
        self._waiting.clear()

    def wait(self, timeout: float | None = None) -> bool:
        if not self._set:
            thread = current()
            self._waiting.append(thread)
            try:
                thread.world.sleep(timeout)
            finally:
                if thread in self._waiting:
                    self._waiting.remove(thread)
        return self._set


class Thread:
    """As threading has it, of the process that makes it."""

    def __init__(
        self, target: Callable[..., Any], args: tuple = (), daemon: bool = True, name: str = "", process: Any = None
    ) -> None:
        self.world = _worlds[-1]
        self.process: Process = process or current().process
        self.name = name
        self.over = Event()
        self.turn = threading.Semaphore(0)
        self.wakes = 0
        self.began = 0.0
        """For tests: when it took up its work."""
        self.looked = False
        """For tests: whether it has looked who owns the folder."""
        self._do = lambda: target(*args)

    def start(self) -> None:
        self.process.threads.append(self)
        self.world.threads += 1
        self.world.wake(self, 0.0)
        threading.Thread(target=self._run, daemon=True, name=self.name).start()

    def join(self) -> None:
        self.over.wait()

    def _run(self) -> None:
        _here.thread = self
        self.turn.acquire()
        try:
            if self.process.alive:
                self._do()
        except KilledError:
            pass
        except BaseException as error:  # noqa: BLE001 - of the code under test: told as a fault
            self.world.broken(f"{self.name}: {type(error).__name__}: {error}", error)
        self.over.set()
        self.wakes += 1  # it is not to be woken any more
        self.world.threads -= 1
        self.world.hand_over()


def current() -> Thread:
    """The thread of the world that asks."""
    return _here.thread


def inside() -> bool:
    """Whether a thread of a world asks, and means the world's things."""
    return getattr(_here, "thread", None) is not None and not getattr(_here, "looking", False)


@contextlib.contextmanager
def looking() -> Iterator[None]:
    """What is done in this block is the tester's, and takes no time."""
    before, _here.looking = getattr(_here, "looking", False), True
    try:
        yield
    finally:
        _here.looking = before


@dataclass
class Troubles:
    """How often what happens at a call, and how long things take."""

    latency: float = 0.01
    fails: float = 0.0
    lost: float = 0.0
    """The call is done, and its answer does not come (object stores)."""
    freezes: float = 0.0
    kills: float = 0.0
    freeze_seconds: tuple[float, ...] = (2, 20, 50, 55, 58, 60, 62, 65, 70, 100, 150)
    """Many about as long as a lease lasts."""


class World:
    """Whatever is there, and what time it is."""

    def __init__(self, seed: int, troubles: Troubles) -> None:
        self.random = random.Random(seed)
        self.troubles = troubles
        self.now = START
        self.threads = 0
        self.faults: list[str] = []
        self.log: list[str] = []
        self.after: Callable[[str, str], None] = lambda _what, _path: None
        """Told of each call that was done."""
        self._queue: list[tuple[float, int, Thread, int]] = []
        self._order = itertools.count()
        self._pids = itertools.count(100)
        self._over = threading.Semaphore(0)
        self.processes: list[Process] = []
        _worlds[:] = [self]

    def process(self, host: str) -> Process:
        made = Process(host, next(self._pids), skew=self.random.uniform(-1, 1))
        self.processes.append(made)
        return made

    def broken(self, what: str, error: BaseException | None = None) -> None:
        """Note a broken promise."""
        self.faults.append(f"{self.now - START:.2f} s: {what}")
        if error is not None and not isinstance(error, AssertionError):
            import traceback

            self.faults += traceback.format_exception(error)

    def note(self, what: str) -> None:
        """For whoever looks at a schedule."""
        self.log.append(f"{self.now - START:9.3f} {what}")

    def run(self) -> None:
        """Let the threads that were started work until none is left."""
        self.hand_over()
        self._over.acquire()

    def wake(self, thread: Thread, seconds: float) -> None:
        """It goes on in so many seconds, whatever else it waited for."""
        thread.wakes += 1
        heapq.heappush(self._queue, (self.now + seconds, next(self._order), thread, thread.wakes))

    def hand_over(self, asks: Thread | None = None) -> bool:
        """Let whoever is next go on; True where it is who asks."""
        while self._queue:
            when, _, thread, number = heapq.heappop(self._queue)
            if number != thread.wakes:
                continue  # something else woke it
            if thread.process.alive and when < thread.process.frozen_until:
                heapq.heappush(self._queue, (thread.process.frozen_until, next(self._order), thread, number))
                continue
            self.now = max(self.now, when)
            if thread is not asks:
                thread.turn.release()
            return thread is asks
        if self.threads:
            self.broken(f"{self.threads} threads wait for each other")
        self._over.release()
        return False

    def sleep(self, seconds: float | None) -> None:
        """The thread goes on later; for ever without a time, unless it is woken."""
        thread = current()
        self.check_alive()
        if seconds is None:
            thread.wakes += 1
        else:
            self.wake(thread, max(0.0, seconds))
        if not self.hand_over(thread):
            thread.turn.acquire()
        self.check_alive()

    def check_alive(self) -> None:
        if not current().process.alive:
            raise KilledError

    def kill(self, process: Process) -> None:
        """End a process: its threads do nothing any more."""
        if process.alive:
            self.note(f"{process.host} {process.pid} is killed")
            process.alive = False
            for thread in process.threads:
                if not thread.over.is_set() and thread is not getattr(_here, "thread", None):
                    self.wake(thread, 0.0)

    def call(self, what: str, path: str, do: Callable[[], Any], fail: Callable[[], Exception], *, far: bool) -> Any:
        """A call of the store: on its way, done, answered; each may take long or go wrong."""
        self.check_alive()
        process, chance, troubles = current().process, self.random.random, self.troubles
        self.sleep(self._latency())
        if chance() < troubles.kills:
            self.kill(process)
            raise KilledError
        if chance() < troubles.fails:
            self.note(f"{process.pid} {current().name} {what} {path} FAILS")
            process.troubled = max(process.troubled, self.now)
            raise fail()
        answer, error = None, None
        with looking():
            try:
                answer = do()
            except Exception as found:  # noqa: BLE001 - the call's own answer
                error = found
        self.note(f"{process.pid} {current().name} {what} {path}" + (f" {type(error).__name__}" if error else ""))
        if error is None:
            with looking():
                self.after(what, path)
        if chance() < troubles.kills:
            self.kill(process)
            raise KilledError
        if chance() < troubles.freezes:
            process.frozen_until = self.now + self.random.choice(troubles.freeze_seconds)
            process.troubled = max(process.troubled, process.frozen_until)
            self.note(f"{process.host} {process.pid} stands still until {process.frozen_until - START:.1f}")
        self.sleep(self._latency())
        if far and chance() < troubles.lost:
            self.note(f"{process.pid} {current().name} {what} {path} ANSWER LOST")
            process.troubled = max(process.troubled, self.now)
            raise fail()
        if error is not None:
            raise error
        return answer

    def _latency(self) -> float:
        slow = 100 if self.random.random() < 0.01 else 1
        seconds = self.random.expovariate(1) * self.troubles.latency * slow
        if seconds > 1:
            process = current().process
            process.troubled = max(process.troubled, self.now + seconds)
        return seconds


class Pool:
    """A pool of threads that does what it is given at once: its callers wait for it anyway."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def map(self, do: Callable[..., Any], *items: Any) -> list[Any]:
        return [do(*one) for one in zip(*items, strict=True)]


def install() -> None:
    """From now on, clocks, sleeps, numbers and names are the world's for its threads. There is no way back."""

    def own(module: Any, name: str, ours: Callable[..., Any]) -> None:
        real = getattr(module, name)
        setattr(module, name, lambda *args: ours(*args) if inside() else real(*args))

    own(time, "time", lambda: current().world.now + current().process.skew)
    own(time, "monotonic", lambda: current().world.now)
    own(time, "sleep", lambda seconds: current().world.sleep(seconds))
    own(os, "getpid", lambda: current().process.pid)
    own(socket, "gethostname", lambda: current().process.host)
    own(secrets, "token_hex", lambda size: current().world.random.randbytes(size).hex())
