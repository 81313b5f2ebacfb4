"""Where this node keeps what takes a moment to make: compiled kernels, prepared arrays.

A state of the kernels' sources has a folder of its own. What was prepared for one and is the same for the next, such as
the language model's tables, takes space once: a file of one folder is a hard link to that of the others.
"""

import atexit
import contextlib
import filecmp
import hashlib
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from winnow.numeric.own_folder import own_folder, user_cache

UNUSED_DAYS = 30
"""A folder of other sources goes when no process has begun with it for so long."""
_PACKAGE = Path(__file__).resolve().parents[1]
_KERNEL_PACKAGES = (
    *("numeric", "text", "dedup", "tokens", "shards", "shards/packing", "audit", "select/kernels"),
    *("sources/readers", "sources/web"),
)
"""All whose kernels others call: numba compiles a caller anew only with its own file."""
_NAME = re.compile(r"winnow-kernels-[0-9a-f]{16}(|-\d+)")
_GOING = ".removed"
_INSTEAD = "set NUMBA_CACHE_DIR to a folder of your own"
_LEAST_SHARED_BYTES = 1_000_000
log = logging.getLogger("winnow")


def _kernel_sources() -> list[Path]:
    found = []
    for package in _KERNEL_PACKAGES:
        of_package = (
            _PACKAGE.glob(f"{package}/*.py") if package.startswith("shards") else (_PACKAGE / package).rglob("*.py")
        )
        found += sorted(of_package)
    return found


def _cache_folder() -> str:
    """A folder of this user alone in ``NUMBA_CACHE_DIR``, the user's cache or the temporary folder.

    Compiled kernels are pickled: whoever can write them can run code here. Where somebody else has taken the folder's
    name in all of these places, this process does without: it compiles for itself, in a folder that goes with it.
    """
    digest = hashlib.blake2b(digest_size=8)
    for source in _kernel_sources():
        digest.update(source.read_bytes())
    name = f"winnow-kernels-{digest.hexdigest()}"
    places: tuple[Callable[[], Path], ...] = (
        lambda: Path(os.environ["NUMBA_CACHE_DIR"]) / name,
        lambda: user_cache() / name,
        lambda: Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}",
    )
    for place in places:
        with contextlib.suppress(OSError, KeyError):
            folder = own_folder(place(), _INSTEAD)
            if os.access(folder, os.W_OK):
                os.utime(folder)  # it is in use
                return str(folder)
    alone = tempfile.mkdtemp(prefix="winnow-kernels-")
    atexit.register(shutil.rmtree, alone, ignore_errors=True)
    return alone


CACHE_FOLDER = _cache_folder()
"""Where this node keeps compiled kernels."""


def _shared_folder(folder: Path) -> Path | None:
    """Beside a folder of kernels, that of files which several of them have; none beside one of this process alone."""
    name = _NAME.fullmatch(folder.name)
    return folder.with_name(f"winnow-tables{name[1]}") if name else None


def store_once(file: Path, folder: Path) -> None:
    """Make a file of a folder of kernels one with an equal file of the others, where there is one.

    Files are compared byte for byte, so what was damaged in one place reaches no other. Whatever fails, the file is
    there as it was.
    """
    shared_folder = _shared_folder(folder)
    if shared_folder is None or file.stat().st_size < _LEAST_SHARED_BYTES:
        return
    linked = file.with_name(f"{file.name}.linked")
    with contextlib.suppress(OSError):
        with file.open("rb") as data:
            digest = hashlib.file_digest(data, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        shared = own_folder(shared_folder, _INSTEAD) / digest
        if shared.exists() and filecmp.cmp(file, shared, shallow=False):
            linked.hardlink_to(shared)
            linked.replace(file)
        else:
            linked.hardlink_to(file)
            linked.replace(shared)


def remove_unused() -> None:
    """Remove folders of other sources that no process has begun with for ``UNUSED_DAYS``, and what they alone had.

    A folder gets another name first, so that a process sees all of it or nothing, and makes it anew.
    """
    mine = Path(CACHE_FOLDER)
    shared = _shared_folder(mine)
    if shared is None:
        return
    oldest = time.time() - UNUSED_DAYS * 86_400
    for folder in sorted(mine.parent.glob("winnow-kernels-*")):
        with contextlib.suppress(OSError):
            going = folder.with_name(f"{folder.name.removesuffix(_GOING)}{_GOING}")
            if folder == mine or not _NAME.fullmatch(going.name.removesuffix(_GOING)) or _is_used(folder, oldest):
                continue
            own_folder(folder, _INSTEAD).rename(going)
            if _is_used(going, oldest):  # somebody began between the two looks
                going.rename(folder)
                continue
            shutil.rmtree(going)
            log.info("removed %s: compiled kernels of another version, unused for %d days", folder, UNUSED_DAYS)
    with contextlib.suppress(OSError):
        for file in own_folder(shared, _INSTEAD).iterdir():
            if file.stat().st_nlink == 1:
                file.unlink()


def _is_used(folder: Path, oldest: float) -> bool:
    return folder.lstat().st_mtime > oldest
