"""Where this node keeps what takes a moment to make: compiled kernels, prepared arrays."""

import atexit
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from winnow.numeric.own_folder import own_folder, user_cache

_PACKAGE = Path(__file__).resolve().parents[1]


KERNEL_SETS = {"lines": ("lines",), "measure": ("counters", "normalise", "language")}
"""Sets that are compiled before their first use, by the stage of that name."""
_KERNEL_PACKAGES = ("numeric", "text", "dedup", "tokens", "shards", "shards/packing", "audit", "select/kernels")


def _cache_folder() -> str:
    """A folder of this user alone in ``NUMBA_CACHE_DIR``, the user's cache or the temporary folder.

    Compiled kernels are pickled: whoever can write them can run code here. Where somebody else has taken the folder's
    name in all of these places, this process does without: it compiles for itself, in a folder that goes with it.
    """
    digest = hashlib.blake2b(digest_size=8)
    here = _PACKAGE
    for package in _KERNEL_PACKAGES:
        found = here.glob(f"{package}/*.py") if package.startswith("shards") else (here / package).rglob("*.py")
        for source in sorted(found):
            digest.update(source.read_bytes())
    name = f"winnow-kernels-{digest.hexdigest()}"
    places: tuple[Callable[[], Path], ...] = (
        lambda: Path(os.environ["NUMBA_CACHE_DIR"]) / name,
        lambda: user_cache() / name,
        lambda: Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}",
    )
    for place in places:
        with contextlib.suppress(OSError, KeyError):
            folder = own_folder(place(), "set NUMBA_CACHE_DIR to a folder of your own")
            if os.access(folder, os.W_OK):
                return str(folder)
    alone = tempfile.mkdtemp(prefix="winnow-kernels-")
    atexit.register(shutil.rmtree, alone, ignore_errors=True)
    return alone


CACHE_FOLDER = _cache_folder()
"""Where this node keeps compiled kernels."""


def is_compiled(name: str) -> bool | None:
    """Whether the kernels of a stage are compiled on this node; None where nobody waits for all of them."""
    sets = KERNEL_SETS.get(name)
    return None if sets is None else all((Path(CACHE_FOLDER) / f"{one}.compiled").exists() for one in sets)
