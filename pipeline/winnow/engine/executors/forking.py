"""What processes that fork workers have in common: environment and path that they begin with, and what they load."""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterable

from winnow.engine.garbage import kept_to_the_end

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
"""One core means one core; Ray sets the first for its tasks, too."""


def module_path() -> list[str]:
    """Where this process finds modules. For a Python begun with ``-P``, which does not look into the working directory
    before."""
    return [entry for entry in sys.path if isinstance(entry, str)]  # Python, too, passes over a Path


def worker_environment() -> dict[str, str]:
    """This process's environment, with one thread a worker unless the user has said otherwise."""
    return {**dict.fromkeys(ONE_THREAD, "1"), **os.environ}


def load(names: Iterable[str]) -> None:
    """Load modules before the first fork, so that all workers have them; of ``module:function``, call the function.

    A search for garbage would touch, and so copy, every page of every worker: none goes through what is loaded here.
    """
    with kept_to_the_end():
        for name in names:
            with contextlib.suppress(Exception):  # whoever needs it says what is wrong
                call(name)


def call(name: str) -> None:
    """Load a module; of ``module:function``, call the function."""
    module, _, function = name.partition(":")
    found = importlib.import_module(module)
    if function:
        getattr(found, function)()
