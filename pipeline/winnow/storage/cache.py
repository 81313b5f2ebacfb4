"""A node's cache of objects that stages map: whole files of bounded size in all, shared by the node's processes.

Processes agree through file locks: one fetches a file, the others wait for it. A file appears by being renamed, so it
is whole or not there. The files used longest ago make room; one that a process has mapped keeps its disk space until
the process lets it go.
"""

import contextlib
import errno
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from winnow.numeric.file_lock import file_lock
from winnow.numeric.own_folder import own_folder

_DRAFT = ".draft-"
_INSTEAD = "point `storage.scratch` at a folder of your own"
_LOCKS = "locks"
JUST_USED_SECONDS = 60.0
"""A file asked for within this time stays: who asked may not have opened it yet."""


class FileCache:
    """Files by key.

    Args:
        folder: on this node's own disk.
        max_bytes: of all files; those used within the last minute may exceed it.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes

    def file(self, key: str, size: int | None, fetch: Callable[[Path], None]) -> Path:
        """The file with this key; ``fetch`` writes it where it is not there.

        Args:
            key: names the content for all time: another content has another key.
            size: of the file, if known: room is made for it before it is fetched.
            fetch: writes the whole file at the path that it is given.

        Raises:
            OSError: the disk is full, or what ``fetch`` raises.
        """
        own_folder(self.folder, _INSTEAD)
        name = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        target = self.folder / name[:2] / name
        if self._used(target):
            return target
        with self._locked(name[:2]):
            if self._used(target):
                return target
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.parent / f"{_DRAFT}{name}"  # the lock is held: nobody else writes it
            self._make_room(size or 0)
            try:
                try:
                    fetch(draft)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    self._make_room(self.max_bytes)  # all that is not in use; the size may not have been known
                    fetch(draft)
                with draft.open("rb") as file:
                    os.fsync(file.fileno())  # a node that loses its power must not come back with half a file
                draft.replace(target)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise OSError(
                        errno.ENOSPC,
                        f"no space for objects in {self.folder}; free some, or set `storage.scratch` to a larger disk",
                    ) from error
                raise
            finally:
                draft.unlink(missing_ok=True)
        return target

    @staticmethod
    def _used(target: Path) -> bool:
        try:
            os.utime(target)
        except FileNotFoundError:
            return False
        return True

    def _make_room(self, size: int) -> None:
        with self._locked("room"):
            held = []
            for path in self.folder.glob("*/*"):
                with contextlib.suppress(FileNotFoundError):
                    if path.parent.name != _LOCKS and not path.name.startswith(_DRAFT):
                        status = path.stat()
                        held.append((status.st_mtime, status.st_size, path))
            disk = os.statvfs(self.folder)
            over = sum(bytes_ for _, bytes_, _ in held) + size - self.max_bytes
            over = max(over, size - disk.f_bavail * disk.f_frsize)
            for used, bytes_, path in sorted(held):
                if over <= 0 or used > time.time() - JUST_USED_SECONDS:
                    break
                path.unlink(missing_ok=True)
                over -= bytes_

    def _locked(self, name: str) -> contextlib.AbstractContextManager[None]:
        return file_lock(self.folder / _LOCKS / name)
