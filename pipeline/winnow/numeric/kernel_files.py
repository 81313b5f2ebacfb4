"""numba, told how to file the code that it compiles for this package; loading it takes a third of a second.

numba files a kernel under its own source file alone: after a change in a kernel that others call, the callers would go
on with the old code. So the cache folder is named by a hash of all packages that hold kernels.
"""

from pathlib import Path
from typing import Any

import numba
from numba.core.caching import IndexDataCacheFile, UserProvidedCacheLocator

from winnow.numeric.cache_folder import _PACKAGE, CACHE_FOLDER
from winnow.numeric.file_lock import file_lock

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


_save = IndexDataCacheFile.save


def _save_alone(file: Any, key: object, data: object) -> None:
    """Keep compiled code while no other process files code of the same kernel.

    numba reads the kernel's index, takes the next free number and writes both: two processes that compile a kernel for
    different types at the same time would take one number, and then run code that was compiled for other types.
    """
    with file_lock(Path(f"{file._index_path}.lock")):
        _save(file, key, data)  # type: ignore[no-untyped-call]


IndexDataCacheFile.save = _save_alone  # type: ignore[method-assign]


def dispatcher(function: Any, **options: Any) -> Any:
    """numba's object for a kernel, which compiles it when it is called. ``fastmath`` stays off, because results must
    not depend on the machine."""
    return numba.njit(cache=True, nogil=True, fastmath=False, boundscheck=False, **options)(function)
