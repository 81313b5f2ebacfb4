"""Things that are reached by name: those of this package, and those that installed packages bring.

A registry lists its own entries as ``module:name``, the way Python's entry points do, and finds the others by their
entry point group: an entry is one file and one line, here or in another distribution. Code is loaded when it is asked
for, so a list of names costs nothing.
"""

import hashlib
import importlib
import sys
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from winnow.errors import ConfigError
from winnow.suggest import meant_or_known

T = TypeVar("T")


class Registry(Generic[T]):
    """Entries of one kind by name, in a fixed order: built in ones as listed, then others by name.

    Args:
        what: one entry, in messages: ``input format``.
        kind: ``module:class`` that every entry is an object of.
        group: of entry points in other distributions.
        built_in: name -> ``module:name``.
    """

    def __init__(self, what: str, kind: str, group: str, built_in: Mapping[str, str]) -> None:
        self.what = what
        self.group = group
        self._kind = kind
        self._built_in = dict(built_in)
        self._loaded: dict[str, T] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self) -> list[str]:
        """All names.

        Raises:
            ConfigError: two distributions bring the same name, or one brings a built in one.
        """
        return [*self._built_in, *self._outside]

    def is_built_in(self, name: str) -> bool:
        """Whether this package brings it."""
        return name in self._built_in

    def check(self, name: str) -> str:
        """The name.

        Raises:
            ConfigError: nothing has it; the message lists what there is, and the nearest.
        """
        if name not in self._built_in and name not in self._outside:
            raise ConfigError(
                f"{name!r} is no known {self.what}; {meant_or_known(name, self.names(), 'known here')} "
                f"(installed packages add more through entry points of the group {self.group})"
            )
        return name

    def get(self, name: str) -> T:
        """The entry.

        Raises:
            ConfigError: nothing has this name, or what has it cannot be loaded.
        """
        if name not in self._loaded:
            self._loaded[self.check(name)] = self._load(name)
        return self._loaded[name]

    def all(self) -> list[T]:
        """Every entry, loaded."""
        return [self.get(name) for name in self.names()]

    def origin(self, name: str) -> dict[str, str] | None:
        """What the entry's results depend on besides this package; None for a built in one.

        ``package`` is the distribution with its version, ``code`` the hash of the file that defines the entry.
        """
        if self.is_built_in(self.check(name)):
            return None
        point = self._outside[name]
        self.get(name)
        file = getattr(importlib.import_module(point.module), "__file__", None)
        code = hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16] if file else ""
        return {"package": _package(point), "code": code}

    def check_origin(self, name: str, expected: Mapping[str, str] | None) -> None:
        """Look whether this process has the entry that the run began with.

        Raises:
            ConfigError: it has another one, or none.
        """
        found = self.origin(name)
        if found != expected:
            raise ConfigError(
                f"{self.what} {name!r}: this process has {_described(found)}, the run began with "
                f"{_described(expected)}; install the same on every node"
            )

    @cached_property
    def _outside(self) -> dict[str, EntryPoint]:
        points: dict[str, EntryPoint] = {}
        found = _installed(tuple(sys.path)).select(group=self.group)
        for point in sorted(found, key=lambda point: (point.name, point.value)):
            other = "winnow itself" if point.name in self._built_in else None
            if point.name in points:
                other = _package(points[point.name])
            if other:
                raise ConfigError(
                    f"{self.what} {point.name!r} is brought by {_package(point)} and by {other}; uninstall one, or "
                    "give it another name"
                )
            points[point.name] = point
        return points

    def _load(self, name: str) -> T:
        if name in self._built_in:
            found: T = _named(self._built_in[name])
            return found
        point = self._outside[name]
        where = f"{self.what} {name!r} of {_package(point)} ({point.value})"
        try:
            entry: T = point.load()
        except Exception as error:
            raise ConfigError(
                f"{where} cannot be loaded: {type(error).__name__}: {error}; mend or uninstall the package"
            ) from error
        kind = _named(self._kind)
        if not isinstance(entry, kind):
            raise ConfigError(f"{where} is of type {type(entry).__name__}, expected an object of {kind.__name__}")
        if (own := getattr(entry, "name", name)) != name:
            raise ConfigError(f"{where} calls itself {own!r}; entry point and object must have one name")
        return entry


@cache
def _installed(_path: tuple[str, ...]) -> Any:
    """The entry points of all packages: finding them takes 20 ms, and there are a dozen registries."""
    return entry_points()


def _named(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"


def _described(origin: Mapping[str, str] | None) -> str:
    return f"{origin['package']} (code {origin['code']})" if origin else "none from outside"
