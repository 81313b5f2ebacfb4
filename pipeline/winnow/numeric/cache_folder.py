"""Where this node keeps what takes a moment to make: compiled kernels, prepared arrays."""

import hashlib
import os
import tempfile
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


KERNEL_SETS = ("lines", "measure")
"""Sets that are compiled before their first use, by the stage of that name."""
_KERNEL_PACKAGES = ("numeric", "text", "dedup", "tokens", "shards", "shards/packing", "audit", "select/kernels")


def _cache_folder() -> str:
    """``NUMBA_CACHE_DIR``, or the user's cache, or the temporary folder, whichever can be written."""
    digest = hashlib.blake2b(digest_size=8)
    here = _PACKAGE
    for package in _KERNEL_PACKAGES:
        found = here.glob(f"{package}/*.py") if package.startswith("shards") else (here / package).rglob("*.py")
        for source in sorted(found):
            digest.update(source.read_bytes())
    name = f"winnow-kernels-{digest.hexdigest()}"
    user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    for parent in (os.environ.get("NUMBA_CACHE_DIR"), user_cache):
        if not parent:
            continue
        folder = Path(parent) / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return str(folder)
    return str(Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}")


CACHE_FOLDER = _cache_folder()
"""Where this node keeps compiled kernels."""


def is_compiled(name: str) -> bool | None:
    """Whether a set of kernels (``compile_once``) is compiled on this node; None where there is no such set."""
    return (Path(CACHE_FOLDER) / f"{name}.compiled").exists() if name in KERNEL_SETS else None
