"""Arrays that take a moment to prepare, kept on the node's disk beside the compiled kernels.

Every worker process needs the same tables. The first one builds them; the others map the files, so that they start
sooner and share the memory.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.cache_folder import CACHE_FOLDER, store_once

Arrays = dict[str, NDArray[Any]]
MAPPED_BYTES = 64 * 2**10
"""A file from this size on is mapped, which holds it open; a smaller one is read."""


def prepared_arrays(name: str, made_of: tuple[object, ...], build: Callable[[], Arrays]) -> Arrays:
    """The arrays that ``build`` returns, from this node's cache if somebody has built them before.

    Args:
        name: of the set of arrays, a plain word.
        made_of: everything that the arrays depend on besides the sources of this package (versions, options); values
            with a stable ``repr``.
        build: makes them; names are plain words, dtypes hold no Python objects.

    Returns:
        Mapped arrays; writing to them changes this process's own copy only. Where the cache cannot be written, what
        ``build`` returned.
    """
    digest = hashlib.blake2b(repr(made_of).encode(), digest_size=8).hexdigest()
    folder = Path(CACHE_FOLDER) / f"{name}-{digest}"
    found = _load(folder)
    if found is not None:
        return found
    arrays = build()
    try:
        _save(folder, arrays)
    except OSError:  # a full or read-only disk: the arrays are there, only the next process must build them again
        return arrays
    return _load(folder) or arrays


def _load(folder: Path) -> Arrays | None:
    try:
        paths = sorted(folder.glob("*.npy"))
        return {path.stem: _array(path) for path in paths} or None
    except (OSError, ValueError):  # cut short by a full disk: built again
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _array(path: Path) -> NDArray[Any]:
    # mapped copy-on-write: kernels see ordinary writable arrays
    mapped: Literal["c"] | None = "c" if path.stat().st_size >= MAPPED_BYTES else None
    return np.asarray(np.load(path, mmap_mode=mapped, allow_pickle=False))


def _save(folder: Path, arrays: Arrays) -> None:
    """Write all arrays under another name, then rename: whoever sees the folder sees all of it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".draft", dir=folder.parent))
    try:
        for name, array in arrays.items():
            np.save(draft / f"{name}.npy", array, allow_pickle=False)
            store_once(draft / f"{name}.npy", folder.parent)
        draft.rename(folder)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        if not folder.exists():  # else another process was first
            raise
