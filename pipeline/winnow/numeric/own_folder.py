"""Folders of this user alone: what lies in them is believed, and some of their names can be guessed."""

import errno
import os
import stat
import tempfile
from pathlib import Path


def own_folder(folder: Path, instead: str) -> Path:
    """Make a folder that nobody else can write, or see that the one that is there is such a folder.

    Args:
        folder: its place; in a folder of all users, such as /tmp, somebody may have been there first.
        instead: what a user can do where that is so.

    Raises:
        PermissionError: it is a link or a file, it is of another user, or others can write it.
        OSError: it cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode):
        fault = "is a link"
    elif found.st_uid != os.geteuid():
        fault = "belongs to another user"
    elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        fault = "can be written by others"
    else:
        return folder
    raise PermissionError(
        errno.EACCES, f"{fault}, and what lies in it would be believed; remove it, or {instead}", str(folder)
    )


def user_cache() -> Path:
    """``XDG_CACHE_HOME``, or ``.cache`` in the home folder; without a home, an own folder among temporary files.

    Raises:
        OSError: there is no place for one.
    """
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given)
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home raises where there is none
    if home not in ("~", ""):
        return Path(home) / ".cache"
    folder = Path(tempfile.gettempdir()) / f"winnow-cache-{os.getuid()}"
    return own_folder(folder, "set XDG_CACHE_HOME to a folder of your own")
