"""The one decorator of all compiled kernels.

Compiled code is kept on disk, so a node compiles once. ``nogil`` lets a reader thread decode the next batch
meanwhile. numba is loaded by the first kernel that is called, not where one is defined: a command that leaves the work
to others never loads it.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import update_wrapper
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Generic, ParamSpec, TypeVar, cast

from winnow.numeric.cache_folder import CACHE_FOLDER, remove_unused
from winnow.numeric.file_lock import file_lock

P = ParamSpec("P")
T = TypeVar("T")


class Deferred(Generic[P, T]):
    """What only compiled code needs, made when it is first used.

    numba takes what a kernel calls from the kernel's module, and must find its own objects there: whatever is made puts
    itself in place of the deferred one there, and so does all that it calls.
    """

    _lock = threading.RLock()

    def __init__(self, make: Callable[[], Any], function: FunctionType | None = None) -> None:
        """``make`` gives the object. Of a kernel, ``function`` is what is compiled."""
        self._make, self._function = make, function
        self._made, self._in_place = None, False
        if function is not None:
            update_wrapper(self, function)

    def made(self) -> Any:
        """The object."""
        if not self._in_place:
            with self._lock:
                if self._made is None:  # else this thread is at it: kernels may call each other
                    self._made = self._make()
                    if self._function is not None:
                        _put_in_place(self._function, self, self._made)
                    self._in_place = True
        return self._made

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> T:
        """Call the kernel."""
        return cast(T, self.made()(*arguments, **named))

    def __getattr__(self, name: str) -> Any:
        """What numba's object has."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.made(), name)


def _put_in_place(function: FunctionType, own: Deferred[..., Any], made: Any) -> None:
    places = function.__globals__
    for name in (function.__name__, *_names(function.__code__)):
        found = places.get(name)
        if found is own:
            places[name] = made
        elif isinstance(found, Deferred):
            places[name] = found.made()
    for cell in function.__closure__ or ():
        if isinstance(cell.cell_contents, Deferred):
            cell.cell_contents = made if cell.cell_contents is own else cell.cell_contents.made()


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _deferred(function: Callable[P, T], **options: Any) -> Deferred[P, T]:
    def make() -> Any:
        from winnow.numeric.kernel_files import dispatcher  # noqa: PLC0415 - loads numba

        return dispatcher(function, **options)

    return Deferred(make, cast(FunctionType, function))


def kernel(function: Callable[P, T]) -> Deferred[P, T]:
    """Compile a kernel on first call with the types it is called with."""
    return _deferred(function)


def inline_kernel(function: Callable[P, T]) -> Deferred[P, T]:
    """The same for small helpers that a kernel calls for every byte."""
    return _deferred(function, inline="always")


def compile_once(name: str, use_kernels: Callable[[], object], *, wait: bool = True) -> None:
    """Compile a set of kernels in one process of this node while the others wait for the result.

    Args:
        name: of the set; each set is compiled once for one state of the sources.
        use_kernels: calls every kernel of the set with the types of real work.
        wait: for another process that is at it; else nothing is done then.
    """
    if is_compiled(name):
        return
    with contextlib.suppress(BlockingIOError), file_lock(Path(CACHE_FOLDER) / f"{name}.lock", wait=wait):
        if not is_compiled(name):
            remove_unused()
            use_kernels()
            _mark(name).touch()


def compile_all(sets: Mapping[str, Callable[[], object]]) -> None:
    """Compile several sets; those that other processes of this node are at come last, so that all share the work."""
    for patient in (False, True):
        for name, use_kernels in sets.items():
            compile_once(name, use_kernels, wait=patient)


def is_compiled(name: str) -> bool:
    """Whether a set of kernels is compiled on this node."""
    return _mark(name).exists()


def _mark(name: str) -> Path:
    return Path(CACHE_FOLDER) / f"{name}.compiled"
