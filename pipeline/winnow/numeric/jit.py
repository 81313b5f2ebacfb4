"""The one decorator of all compiled kernels.

Compiled code is kept on disk, so a node compiles once. ``nogil`` lets a reader thread decode the next batch
meanwhile; ``fastmath`` stays off because results must not depend on the machine.

numba files a kernel under its own source file alone: after a change in a kernel that others call, the callers would go
on with the old code. So the cache folder is named by a hash of all packages that hold kernels.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numba
from numba import njit
from numba.core.caching import UserProvidedCacheLocator

from winnow.numeric.cache_folder import _PACKAGE, CACHE_FOLDER
from winnow.numeric.file_lock import file_lock, file_lock_if_free

numba.config.CACHE_DIR = CACHE_FOLDER  # type: ignore[attr-defined]


class KernelLocator(UserProvidedCacheLocator):
    """Files kernels by their place in this package, not by where the package lies.

    A job's driver and its workers have the package in different folders, and the next job in others again; the cache
    folder's name says that the sources are the same.
    """

    @classmethod
    def get_suitable_cache_subpath(cls, py_file: str) -> str:
        """E.g. ``text.signals``."""
        return ".".join(Path(py_file).resolve().parent.relative_to(_PACKAGE).parts)

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        """None for functions of other packages: the locators behind this one file them."""
        if not Path(py_file).resolve().is_relative_to(_PACKAGE):
            return None
        return super().from_function(py_func, py_file)  # type: ignore[no-untyped-call]


numba.config.CACHE_LOCATOR_CLASSES = (  # type: ignore[attr-defined]  # numba without it files by path
    f"{__name__}.KernelLocator,UserProvidedCacheLocator,InTreeCacheLocator,UserWideCacheLocator"
)


def compile_once(name: str, use_kernels: Callable[[], object]) -> None:
    """Compile a set of kernels in one process of this node while the others wait for the result.

    Args:
        name: of the set; each set is compiled once for one state of the sources.
        use_kernels: calls every kernel of the set with the types of real work.
    """
    folder = Path(CACHE_FOLDER)
    done = folder / f"{name}.compiled"
    if done.exists():
        return
    with file_lock(folder / f"{name}.lock"):
        if not done.exists():
            use_kernels()
            done.touch()


def compile_each(sets: Mapping[str, Callable[[], object]]) -> None:
    """Compile several sets, each once, shared out among the processes of this node that need them at the same time.

    Args:
        sets: by name, as :func:`compile_once` takes them; none calls a kernel of another one.
    """
    folder = Path(CACHE_FOLDER)
    for name, use_kernels in sets.items():
        if not (folder / f"{name}.compiled").exists():
            with file_lock_if_free(folder / f"{name}.lock") as free:
                if free and not (folder / f"{name}.compiled").exists():
                    use_kernels()
                    (folder / f"{name}.compiled").touch()
    for name, use_kernels in sets.items():  # what others are at work on
        compile_once(name, use_kernels)


kernel = njit(cache=True, nogil=True, fastmath=False, boundscheck=False)
"""Compile a kernel on first call with the types it is called with."""

inline_kernel = njit(cache=True, nogil=True, fastmath=False, boundscheck=False, inline="always")
"""The same for small helpers that a kernel calls for every byte."""
