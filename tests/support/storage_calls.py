"""Calls of storage, by name, in the process that installs this: one of them can fail, or end the process.

A call is named by what it does, its path and how often that came before, as in ``fsync run/shards/x.parquet 1``, so
that the order of threads is none of it. On a disk, calls are those of the operating system below a folder; of an object
store, its requests.
"""

import builtins
import contextlib
import errno
import io
import os
import re
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

KINDS = ("once", "for good", "killed before", "killed after", "lost")
"""``lost``: a request is done, and no answer comes."""
_BY_PATH = ("mkdir", "rename", "replace", "unlink", "link", "stat", "scandir", "listdir", "rmdir")
_CHANGES = (*_BY_PATH[:5], "rmdir", "write", "fsync", "create", "put", "delete", "copy")
_VARIES = re.compile(rf"-{re.escape(socket.gethostname())}-\d+$|(?<=[.-])[0-9a-f]{{16}}$")


def kinds_of(name: str, *, far: bool) -> tuple[str, ...]:
    """How a call can go wrong. To be killed at one that changes nothing is to be killed after the last that did."""
    changes = name.split(" ")[0] in _CHANGES
    return KINDS[:2] + (KINDS[3:4] if changes else ()) + (KINDS[4:] if changes and far else ())


def lasting(path: str) -> str:
    """A path without what another run over the same index names otherwise: its process, its token."""
    head, segment, rest = _VARIES.sub("", path).partition("work/segment/")
    return head + segment + re.sub("[0-9a-f]{12,24}", "*", rest)


class Calls:
    """What was called below a folder (a disk's, or an address); and which call goes wrong, and how."""

    def __init__(self, folder: str, target: str = "", kind: str = "") -> None:
        self.folder = folder.rstrip("/") + "/"
        self.target, self.kind = target, kind
        self.names: list[str] = []
        self._count: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._gone = False
        self.met = False

    def mend(self) -> None:
        """Nothing goes wrong from now on."""
        self.target, self._gone = "", False

    def call(self, what: str, path: object, do: Callable[[], Any]) -> Any:
        """Do it, unless it is below the folder and it is its turn to go wrong."""
        place = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if not place.startswith(self.folder):
            return do()
        with self._lock:
            call = f"{what} {lasting(place[len(self.folder) :])}"
            self._count[call] += 1
            name = f"{call} {self._count[call]}"
            self.names.append(name)
            mine = name == self.target
            self.met |= mine
            fails = self._gone or (mine and self.kind in ("once", "for good"))
            self._gone |= mine and self.kind == "for good"
        if fails:
            self.fail(what, place)
        if mine and self.kind == "killed before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            answer = do()
        finally:  # a call that fails by itself, such as for a folder that is there, is over, too
            if mine and self.kind == "killed after":
                os.kill(os.getpid(), signal.SIGKILL)
        if mine and self.kind == "lost":
            self.fail(what, place)
        return answer

    def fail(self, what: str, path: str) -> None:
        """Raise what a broken disk or server gives."""
        number = errno.ENOSPC if what in ("write", "create") else errno.EIO
        raise OSError(number, os.strerror(number), path)


class _File(io.FileIO):
    """An open file whose reads and writes are calls: what Python's buffers keep back is none yet."""

    calls: Calls

    def _call(self, what: str, do: Callable[[], Any]) -> Any:
        return self.calls.call(what, self.name, do)

    def write(self, data: Any) -> int:
        return self._call("write", lambda: super(_File, self).write(data))

    def readinto(self, buffer: Any) -> int:
        return self._call("read", lambda: super(_File, self).readinto(buffer))

    def readall(self) -> bytes:
        return self._call("read", super().readall)


def on_disk(calls: Calls) -> None:
    """From now on, this process's calls of the operating system are counted."""
    for name in _BY_PATH:
        real = getattr(os, name)

        def replaced(path: Any, *rest: Any, _real: Any = real, _name: str = name, **named: Any) -> Any:
            place = rest[0] if _name in ("link", "rename", "replace") else path
            return calls.call(_name, place, lambda: _real(path, *rest, **named))

        setattr(os, name, replaced)
    real_open, real_sync = io.open, os.fsync

    def opened(path: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        place = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        what = "create" if set(mode) & set("wxa") else "open"
        buffering = rest[0] if rest else named.get("buffering", -1)
        if not place.startswith(calls.folder) or "b" not in mode or buffering != -1:
            return calls.call(what, place, lambda: real_open(path, mode, *rest, **named))
        file = calls.call(what, place, lambda: _File(place, mode.replace("b", "")))
        file.calls = calls
        return io.BufferedReader(file) if what == "open" and "+" not in mode else io.BufferedWriter(file)

    def synced(handle: int) -> None:
        place = ""
        with contextlib.suppress(OSError):
            place = str(Path(f"/proc/self/fd/{handle}").readlink())
        calls.call("fsync", place, lambda: real_sync(handle))

    io.open = builtins.open = opened  # type: ignore[assignment]
    os.fsync = synced


def in_object_store(calls: Calls) -> None:
    """From now on, this process's requests are counted: each attempt is one."""
    from winnow.storage import object_files

    ask = object_files.ObjectFiles._ask

    def asked(self: Any, kind: str, doing: str, url: str, request: Callable[[], Any]) -> Any:
        return ask(self, kind, doing, url, lambda: calls.call(kind, url, request))

    def fail(_what: str, path: str) -> None:
        raise ConnectionResetError(errno.ECONNRESET, "a fault on order", path)

    object_files.ObjectFiles._ask = asked  # type: ignore[method-assign]
    object_files.FIRST_WAIT_SECONDS = object_files.LONGEST_WAIT_SECONDS = 0.0
    calls.fail = fail  # type: ignore[method-assign]
