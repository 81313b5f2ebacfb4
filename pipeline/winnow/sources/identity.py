"""By which name an input is known: to the paths of one run, and to the runs after it."""

import os
import re
from pathlib import Path

from winnow.storage.address import is_url, real
from winnow.storage.hub import without_commit

_BLOB = re.compile(r"(?:^|/)blobs/[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SNAPSHOT = re.compile(r"/snapshots/[0-9a-f]{40}/")


def real_input(path: str) -> str:
    """By which two spellings of one file are known.

    In a hub's cache, files of a snapshot are links to blobs, and files of equal content to one blob: there the link is
    the file, as on the hub itself.
    """
    if not is_url(path) and (link := Path(path)).is_symlink() and _BLOB.search(os.readlink(link)):  # noqa: PTH115 - no object
        own = f"{real(str(link.parent))}/{link.name}"
        if _SNAPSHOT.search(own):
            return own
    return real(path)


def lasting_name(path: str) -> str:
    """By which a file is known in later runs: what lies on a hub has the same name in all its commits."""
    return without_commit(real_input(path))
