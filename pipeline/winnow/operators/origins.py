"""Where operators come from: a file beside the config, an importable module, or an entry point of a package.

A file travels by content: workers run the text that was read when the run began. So it stands alone: what lies beside
it cannot be imported, which is found before any work is done. Modules and packages are installed on every node; a
worker compares the hash of its own.
"""

import ast
import hashlib
import importlib
import importlib.metadata
import inspect
import linecache
import re
import sys
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, NamedTuple

from winnow.errors import ConfigError, NamedObjectError, OperatorError
from winnow.operators.files import fetched, hash_of_bytes
from winnow.operators.registry import BUILT_IN
from winnow.storage.address import is_url
from winnow.storage.config import StorageConfig
from winnow.suggest import suggestion

ENTRY_POINTS = "winnow.operators"
FORMS = "FILE.py:NAME, package.module:NAME, or an entry point's name"
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class Use(NamedTuple):
    """What ``use`` says: a file (path), a module (dotted name) or, with neither, an entry point; and the object."""

    file: str | None
    module: str | None
    object: str


def parse_use(use: str) -> Use:
    """Take ``use`` apart.

    Raises:
        ConfigError: it has none of the three forms.
    """
    place, colon, name = use.rpartition(":")
    if not colon:
        if not use.endswith(".py") and "/" not in use:
            return Use(None, None, use)
        raise ConfigError(f"use: {use}: names a file, but nothing in it; expected {use}:NAME")
    if not name.isidentifier():
        raise ConfigError(f"use: {use}: {name!r} is no name of a function or class; expected {FORMS}")
    if place.endswith(".py"):
        return Use(place, None, name)
    if _MODULE.fullmatch(place):
        return Use(None, place, name)
    raise ConfigError(f"use: {use}: expected {FORMS}")


def origin_of(use: Use, storage: StorageConfig) -> dict[str, Any]:
    """Where an operator is, and what it is there, as ``Operator.origin`` holds it.

    Raises:
        ConfigError: there is no such file, module or entry point, or a file imports what lies beside it.
    """
    if use.file is not None:
        return _file_origin(use.file, use.object, storage)
    if use.module is not None:
        return _module_origin(use.module, use.object)
    if use.object in BUILT_IN:
        module, _, name = BUILT_IN[use.object].partition(":")
        return {"module": module, "object": name, "built_in": use.object}
    points = importlib.metadata.entry_points(group=ENTRY_POINTS)
    found = [point for point in points if point.name == use.object]
    if not found:
        known = sorted({*BUILT_IN, *(point.name for point in points)})
        raise ConfigError(
            f"use: {use.object}: is no operator of Winnow's own, and no installed package has an entry point of this "
            f"name in group {ENTRY_POINTS}; "
            f"{suggestion(use.object, known)}; a file is named as FILE.py:NAME, a module as package.module:NAME"
        )
    if len({point.value for point in found}) > 1:
        listed = ", ".join(f"{point.value} of {point.dist.name if point.dist else '?'}" for point in found)
        raise ConfigError(f"use: {use.object}: several packages have an entry point of this name ({listed})")
    return _module_origin(found[0].module, found[0].attr)


def target_of(origin: dict[str, Any]) -> Any:
    """The function or class itself; modules are loaded once a process.

    Raises:
        ConfigError: it cannot be loaded, or is not there.
        OperatorError: this node's module is another than the one that the run began with.
    """
    name = origin["object"]
    if "file" in origin:
        module, place = _module_of_source(origin["file"], origin["source"]), origin["file"]
    else:
        module, place = _import(origin["module"]), origin["module"]
    target: Any = module
    for part in name.split("."):
        if not hasattr(target, part):
            known = [entry for entry, value in vars(module).items() if callable(value) and not entry.startswith("_")]
            raise ConfigError(f"{place} has no {name!r}; {suggestion(name, sorted(known))}")
        target = getattr(target, part)
    if "sources" in origin and (mine := _sources(module, target)) != origin["sources"]:
        raise OperatorError(
            f"{place}: this node has another version of {', '.join(sorted(mine))} than the one that the run began "
            "with; install the same on every node"
        )
    return target


def identity_of(target: Any) -> dict[str, Any]:
    """What a class or function of an installed package is: hashes of its source files, versions of packages."""
    module = importlib.import_module(target.__module__)
    return {"sources": _sources(module, target), "distributions": _distributions(module.__name__)}


def _file_origin(path: str, name: str, storage: StorageConfig) -> dict[str, Any]:
    try:
        local = fetched(path, storage)
        content = local.read_bytes()
        source = content.decode("utf-8")
    except NamedObjectError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror or error}; the path of an operator's file is taken from the config's folder"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 ({error.reason}); expected Python source") from error
    file = PurePosixPath(path).name if is_url(path) else local.name
    try:
        tree = ast.parse(source, file)
    except SyntaxError as error:
        raise ConfigError(f"{path}: line {error.lineno}: {error.msg}") from error
    if not is_url(path):
        _check_stands_alone(local, tree)
    return {"file": file, "source": source, "object": name}


def _check_stands_alone(path: Path, tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported = ["." * node.level + (node.module or "")]
        else:
            continue
        for module in imported:
            first = module.partition(".")[0]
            beside = path.parent / first
            if (
                not first
                or (beside.with_suffix(".py") != path and beside.with_suffix(".py").exists())
                or ((beside / "__init__.py").exists())
            ):
                raise ConfigError(
                    f"{path}: line {node.lineno} imports {module}, which lies beside it, but an operator's file "
                    "travels to the workers alone: put that code into the file, or install both as a package and "
                    "write `use: package.module:NAME`"
                )


def _module_of_source(file: str, source: str) -> ModuleType:
    """The module that a text is, under a name of its own, so that tracebacks and pickles find it."""
    name = f"winnow_operator_{hash_of_bytes(source.encode())}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = file
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    sys.modules[name] = module
    try:
        exec(compile(source, file, "exec"), vars(module))  # noqa: S102 - the user's own code
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception):
            raise
        raise ConfigError(f"{file}: cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def _module_origin(module: str, name: str) -> dict[str, Any]:
    loaded = _import(module)
    origin = {"module": module, "object": name}
    target = target_of(origin)
    return {**origin, "sources": _sources(loaded, target), "distributions": _distributions(module)}


def _import(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise ConfigError(
            f"{module}: cannot be imported: {type(error).__name__}: {error}; install it on this machine and on every "
            "node, or name a file as FILE.py:NAME"
        ) from error


def _sources(module: ModuleType, target: Any) -> dict[str, str | None]:
    """Hashes of the source files of a module and of the one that the target was defined in."""
    modules = {module.__name__: module}
    if (other := sys.modules.get(getattr(target, "__module__", "") or "")) is not None:
        modules[other.__name__] = other
    return {name: _hash_of_source(modules[name]) for name in sorted(modules)}


def _hash_of_source(module: ModuleType) -> str | None:
    try:
        file = inspect.getsourcefile(module)
        return None if file is None else hashlib.blake2b(Path(file).read_bytes(), digest_size=16).hexdigest()
    except (OSError, TypeError):  # built in, or compiled
        return None


def _distributions(module: str) -> dict[str, str]:
    """Installed distributions that a module belongs to, with their versions."""
    names = importlib.metadata.packages_distributions().get(module.partition(".")[0], [])
    return {name: importlib.metadata.version(name) for name in sorted(set(names))}
