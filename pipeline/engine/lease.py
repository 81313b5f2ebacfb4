"""One owner at a time for a run folder, so that overlapping runs cannot mix.

The owner renews ``lease.json`` while it lives. A lease that was not renewed for its time, or whose process is dead
on this very machine, is taken over: after ``kill -9`` the same command goes on at once.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from pipeline.engine.store import Store

LEASE = "lease.json"
RENEW_EVERY_S = 10.0
EXPIRES_AFTER_S = 60.0


class LeaseHeldError(RuntimeError):
    """Another run owns this run folder."""


def _process_start(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot: tells a reused process id from the owner's."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


@contextlib.contextmanager
def hold_lease(store: Store) -> Iterator[None]:
    """Own the run folder inside this block.

    Raises:
        LeaseHeldError: a living run owns it.
    """
    me = {"host": socket.gethostname(), "pid": os.getpid(), "started": _process_start(os.getpid())}
    while not store.create_exclusive(LEASE, _lease_bytes(me)):
        try:
            held = orjson.loads(store.read(LEASE))
        except FileNotFoundError:
            continue  # released between the two looks
        if not _is_abandoned(held):
            raise LeaseHeldError(
                f"{store.path(LEASE)}: the run folder belongs to process {held['pid']} on {held['host']}; "
                f"wait for it or stop it (an owner that died is noticed within {EXPIRES_AFTER_S:.0f} s)"
            )
        store.remove(LEASE)
    stop = threading.Event()
    thread = threading.Thread(target=_renew, args=(store, me, stop), daemon=True, name="lease")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        store.remove(LEASE)


def _lease_bytes(owner: dict[str, object]) -> bytes:
    return orjson.dumps({**owner, "expires": time.time() + EXPIRES_AFTER_S})


def _is_abandoned(held: dict[str, object]) -> bool:
    if held["host"] == socket.gethostname() and _process_start(int(str(held["pid"]))) != held["started"]:
        return True
    return float(str(held["expires"])) < time.time()


def _renew(store: Store, owner: dict[str, object], stop: threading.Event) -> None:
    while not stop.wait(RENEW_EVERY_S):
        with contextlib.suppress(OSError):  # a full disk must not end the run here; the lease lasts a minute
            store.replace(LEASE, _lease_bytes(owner))
