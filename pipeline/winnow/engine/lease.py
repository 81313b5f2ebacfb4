"""One owner at a time for a run folder, and for an index, so that overlapping runs cannot mix.

The owner renews ``lease.json`` while it lives. A lease that was not renewed for its time, or whose process is dead
on this very machine, is taken over: after ``kill -9`` the same command goes on at once.
"""

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from winnow.errors import LeaseHeldError
from winnow.storage.open_store import open_store
from winnow.storage.store import Store

LEASE = "lease.json"
RENEW_EVERY_S = 10.0
EXPIRES_AFTER_S = 60.0
TAKE_OVER_WAIT_S = 0.2
_held_here: set[object] = set()
"""Tokens of leases that this process took since it began, or began again."""


def _process_start(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot: tells a reused process id from the owner's."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


class Lease:
    """A held lease: renews itself, and knows when it is lost."""

    def __init__(self, store: Store, owner: dict[str, object]) -> None:
        self._store = store
        self._impatient = _impatient(store)
        self._owner = owner
        self._lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True, name="lease")

    def check(self) -> None:
        """Return while the lease is held.

        Raises:
            LeaseHeldError: this process stood still for so long that another run has taken over.
        """
        if self._lost or not self._is_held(self._store):
            raise LeaseHeldError(
                f"{self._store.location(LEASE)}: this run stood still for over {EXPIRES_AFTER_S:.0f} s and another one "
                "took the folder over; what is committed stays"
            )

    def _is_held(self, store: Store) -> bool:
        (held,) = store.read_all([LEASE])
        return held is not None and self._is_mine(held)

    def _is_mine(self, held: bytes) -> bool:
        return _parse(held).get("token") == self._owner["token"]

    def _renew(self) -> None:
        while not self._stop.wait(RENEW_EVERY_S):
            with contextlib.suppress(OSError):  # a storage that refuses must not end the run here; it lasts a minute
                looked = time.monotonic()
                (held,) = self._impatient.read_all([LEASE])
                if held is None or not self._is_mine(held):
                    self._lost = True
                    return
                if time.monotonic() - looked < EXPIRES_AFTER_S / 2:  # else what it has seen may be long over
                    self._impatient.renew(LEASE, held, _lease_bytes(self._owner))

    def _release(self) -> None:
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(OSError):  # it expires; the error that ends the run is the one to tell
            if self._is_held(self._impatient):
                self._impatient.remove(LEASE)


@contextlib.contextmanager
def hold_lease(store: Store, what: str = "run folder") -> Iterator[Lease]:
    """Own a folder inside this block; ``what`` is how messages call it.

    Raises:
        LeaseHeldError: a living run owns it.
    """
    owner: dict[str, object] = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": _process_start(os.getpid()),
        "token": secrets.token_hex(8),  # tells owners apart; reaches no result
    }
    _held_here.add(owner["token"])
    store.check_exclusive()
    while not store.compare_and_swap(LEASE, None, _lease_bytes(owner)):
        (judged,) = store.read_all([LEASE])
        if judged is None:
            continue  # released between the two looks
        held = _parse(judged)
        if not _is_abandoned(store, held):
            raise LeaseHeldError(
                f"{store.location(LEASE)}: the {what} belongs to process {held.get('pid')} on {held.get('host')}; "
                f"wait for it or stop it (an owner that died is noticed within {EXPIRES_AFTER_S:.0f} s)"
            )
        if store.compare_and_swap(LEASE, judged, _lease_bytes(owner)):
            break
        time.sleep(TAKE_OVER_WAIT_S)  # somebody else is at it, or has renewed it
    lease = Lease(store, owner)
    lease._thread.start()
    try:
        yield lease
    finally:
        lease._release()


def _impatient(store: Store) -> Store:
    """The store, with requests that end long before a lease expires: one that is sent again for minutes could write
    over the lease of whoever has taken the folder over meanwhile."""
    if not store.is_remote:
        return store
    retries, seconds = min(store.storage.retries, 1), min(store.storage.timeout_seconds, RENEW_EVERY_S)
    return open_store(store.root, store.storage.model_copy(update={"retries": retries, "timeout_seconds": seconds}))


def holder_of(store: Store) -> dict[str, Any] | None:
    """Who holds a folder: host, process, ``expires`` (seconds since 1970) and whether it is ``abandoned``; or None."""
    held = _read(store)
    return None if held is None else {**held, "abandoned": _is_abandoned(store, held, touch=False)}


def _read(store: Store) -> dict[str, Any] | None:
    try:
        return _parse(store.read(LEASE))
    except FileNotFoundError:
        return None


def _parse(data: bytes) -> dict[str, Any]:
    """A damaged lease counts as one that has expired."""
    try:
        held = orjson.loads(data)
    except ValueError:
        held = None
    return held if isinstance(held, dict) else {}


def _lease_bytes(owner: dict[str, object]) -> bytes:
    return orjson.dumps({**owner, "expires": time.time() + EXPIRES_AFTER_S})


def _is_abandoned(store: Store, held: dict[str, Any], *, touch: bool = True) -> bool:
    """Whether the owner of a lease is gone. Without ``touch`` nothing is written, and clocks must agree roughly."""
    if not held:
        return True
    if (
        held.get("host") == socket.gethostname()
        and held.get("pid") == os.getpid()
        and held.get("token") not in _held_here
    ):
        return True  # this process has begun again (executors/lost_ray.py)
    if held.get("host") == socket.gethostname() and _process_start(int(held.get("pid", 0))) != held.get("started"):
        return True
    if store.has_server_clock and touch:
        return LEASE in store.older_than(LEASE, EXPIRES_AFTER_S)
    return float(held.get("expires", 0)) < time.time()
