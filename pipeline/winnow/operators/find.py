"""From an entry of the config to an operator: found, checked, and pinned to what it is now. Nothing is written."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from winnow.errors import ConfigError, NamedObjectError
from winnow.operators.config import SPANS, OperatorConfig
from winnow.operators.files import (
    NamedFile,
    existing,
    fetched,
    hash_of_bytes,
    hash_of_file,
    hash_of_folder,
    published_path,
)
from winnow.operators.marks import Mark, mark_of
from winnow.operators.operator import TOTAL, Operator
from winnow.operators.origins import origin_of, parse_use, target_of
from winnow.storage.address import SCHEMES, is_url, scheme_of
from winnow.storage.config import StorageConfig
from winnow.suggest import suggestion


def find_operator(entry: OperatorConfig, storage: StorageConfig) -> OperatorConfig:
    """The entry with its operator, pinned.

    Raises:
        ConfigError: it is not there, not marked, not what it was pinned to, or its settings do not fit.
        ObjectStorageError: the store refuses.
    """
    use = parse_use(entry.use)
    origin = origin_of(use, storage)
    target = target_of(origin)
    mark = mark_of(target)
    if mark is None:
        raise ConfigError(
            f"use: {entry.use}: {use.object} is not marked as an operator; put @winnow.signal, @winnow.mapper, "
            "@winnow.filter or @winnow.spans above it"
        )
    _check_mark(entry.use, mark)
    if entry.finds_spans and mark.kind != "spans":
        raise ConfigError(
            f"use: {entry.use}: finds_spans is what its decorator says (@winnow.spans); leave it out here"
        )
    if entry.on_gpu and not mark.gpu:
        raise ConfigError(f"use: {entry.use}: on_gpu is what its decorator says (gpu=True); leave it out here")
    own = {key: value for key, value in entry.settings.items() if mark.kind != "spans" or key not in SPANS}
    _check_settings(entry, target, own)
    # a function's name is its own; what an entry point calls it is how users know it
    name = entry.name or (use.object if use.file or use.module else entry.use)
    if entry.name is None and not name.isidentifier():
        raise ConfigError(f"use: {entry.use}: give it a `name` of letters, digits and _, for its column")
    files, folders, folder_paths, published = _named_files(own, storage)
    plain = {key: value for key, value in own.items() if key not in files and key not in folders}
    with_files = own | {key: str(published[n].content) for n, key in enumerate(files)}
    made = _columns_of(entry, target, mark, with_files)
    columns = tuple(f"{name}.{column}" for column in made) or (name,)
    tokens = None
    if mark.kind == "spans":
        kinds, tokens = _spans_of(entry, target, mark, own)
        columns = tuple(f"{name}.{kind}" for kind in (*kinds, TOTAL))
    operator = Operator(
        name=name,
        kind=mark.kind,
        version=mark.version,
        needs=_needs_of(entry, target, mark, with_files),
        columns=() if mark.kind == "mapper" else columns,
        origin=origin,
        settings=plain,
        files=files,
        folders=folders,
        folder_paths=folder_paths,
        published=tuple(published),
        gpu=mark.gpu,
        tokens=tokens,
    )
    pinned_use = entry.use
    if "file" in origin:
        content = origin["source"].encode()
        path = published_path(hash_of_bytes(content), origin["file"])
        operator = Operator(**{**vars(operator), "published": (*published, NamedFile(path, content))})
        pinned_use = f"{path}:{use.object}"
    if entry.pinned is not None and entry.pinned != operator.fingerprint:
        raise ConfigError(
            f"operator {name}: is not what `pinned` names (its source, settings, files, version or package changed); "
            "put the earlier one back, or take `pinned` out"
        )
    settings = {**entry.settings, **{key: file["path"] for key, file in files.items()}}
    return entry.with_found(operator, pinned_use, settings)


def made_operator(operator: Operator, local: Callable[[str], str]) -> Callable[[Any], Any]:
    """What takes a batch: the function with its settings, or an object of the class.

    Args:
        operator: of the stage's settings.
        local: this node's path of a file of the run folder.

    Raises:
        ConfigError, OperatorError: it cannot be loaded here.
    """
    target = target_of(operator.origin)
    settings = {
        **operator.settings,
        **{key: local(file["path"]) for key, file in operator.files.items()},
        **operator.folder_paths,
    }
    if inspect.isclass(target):
        made: Any = target(**settings)
        call: Callable[[Any], Any] = made.__call__
        return call
    return lambda batch: target(batch, **settings)


def _check_mark(use: str, mark: Mark) -> None:
    if mark.kind == "spans" and mark.gpu:
        raise ConfigError(
            f"use: {use}: finds spans with gpu=True; such operators run on CPUs, on what dedup kept: leave it out"
        )
    if not mark.deterministic:
        raise ConfigError(
            f"use: {use}: says deterministic=False, and a run promises the same bytes for the same input: seed what is "
            "drawn by the document's id or text, and leave the argument out"
        )
    if mark.gpu and mark.kind == "mapper":
        raise ConfigError(
            f"use: {use}: is a mapper with gpu=True; operators on GPUs run on what dedup kept, and by then texts are "
            "measured, signed and compared, so they cannot change any more; leave the argument out to run it on CPU"
        )


def _columns_of(entry: OperatorConfig, target: Any, mark: Mark, own: dict[str, Any]) -> tuple[str, ...]:
    """Names of a signal's columns, where it has several: its decorator's, or what its class makes of the settings."""
    if mark.kind != "signal" or not inspect.isclass(target) or not hasattr(target, "columns"):
        return mark.columns
    return _names(entry, "columns", target.columns, own) or ()


def _needs_of(entry: OperatorConfig, target: Any, mark: Mark, own: dict[str, Any]) -> tuple[str, ...] | None:
    """Columns that an operator reads: its decorator's, or what its class makes of the settings."""
    if not inspect.isclass(target) or not hasattr(target, "needs"):
        return mark.needs
    return _names(entry, "needs", target.needs, own)


def _names(entry: OperatorConfig, what: str, ask: Callable[..., Any], own: dict[str, Any]) -> tuple[str, ...] | None:
    """The names that a class makes of its settings; None where it says None, as its decorator does by default."""
    try:
        said = ask(**own)
    except ValueError as error:
        raise ConfigError(f"use: {entry.use}: {error}") from error
    if said is None:
        return None
    if not isinstance(said, list | tuple) or not all(isinstance(name, str) for name in said):
        raise ConfigError(f"use: {entry.use}: {what}() gives {said!r:.60}; expected a list of names, such as ['text']")
    return tuple(said)


def _spans_of(
    entry: OperatorConfig, target: Any, mark: Mark, own: dict[str, Any]
) -> tuple[tuple[str, ...], dict[str, str] | None]:
    """Kinds of an operator that finds spans, and what stands in their place; None where texts stay as they are."""
    try:
        spans = entry.spans
        kinds = tuple(target.kinds(**own)) if hasattr(target, "kinds") else mark.columns
    except ValidationError as error:
        raise ConfigError(f"use: {entry.use}: " + "; ".join(map(_mistake, error.errors()))) from error
    except ValueError as error:
        raise ConfigError(f"use: {entry.use}: {error}") from error
    if not kinds:
        raise ConfigError(f"use: {entry.use}: finds no kind of spans: switch one on, or leave the operator out")
    if TOTAL in kinds or not all(kind.isidentifier() for kind in kinds):
        raise ConfigError(f"use: {entry.use}: kinds ({', '.join(kinds)}) must be names, and none {TOTAL!r}")
    for kind, text in spans.replacements.items():
        if kind not in kinds:
            raise ConfigError(f"use: {entry.use}: replacements: no kind {kind!r} is found; {suggestion(kind, kinds)}")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ConfigError(f"use: {entry.use}: replacements.{kind}: is no text that UTF-8 can hold")
    if spans.action != "replace":
        if spans.replacements:
            raise ConfigError(f"use: {entry.use}: replacements are for action: replace, not {spans.action}")
        return kinds, None
    own_tokens = getattr(target, "tokens", {})
    return kinds, {kind: spans.replacements.get(kind, own_tokens.get(kind, f"<{kind.upper()}>")) for kind in kinds}


def _mistake(error: ErrorDetails) -> str:
    return f"{'.'.join(map(str, error['loc']))}: {error['msg'].removeprefix('Input ').removeprefix('Value error, ')}"


def _check_settings(entry: OperatorConfig, target: Any, own: dict[str, Any]) -> None:
    is_class = inspect.isclass(target)
    if is_class and not any("__call__" in vars(base) for base in target.__mro__):
        raise ConfigError(f"use: {entry.use}: class {target.__name__} has no __call__(self, batch)")
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"use: {entry.use}: cannot tell its arguments ({error})") from error
    try:
        signature.bind(*(() if is_class else (None,)), **own)
    except TypeError as error:
        takes = list(signature.parameters)[0 if is_class else 1 :]
        wrong = [name for name in own if name not in signature.parameters]
        hint = f"; {wrong[0]}: {suggestion(wrong[0], takes)}" if wrong else ""
        raise ConfigError(
            f"use: {entry.use}: its settings do not fit {target.__name__}{signature}: {error}{hint}"
        ) from error


def _named_files(
    settings: dict[str, Any], storage: StorageConfig
) -> tuple[dict[str, dict[str, str]], dict[str, str], dict[str, str], list[NamedFile]]:
    """Settings that name files, and folders, by content; paths of folders; what goes into the run folder."""
    files: dict[str, dict[str, str]] = {}
    folders: dict[str, str] = {}
    folder_paths: dict[str, str] = {}
    published: list[NamedFile] = []
    for key, value in settings.items():
        path = existing(value)
        if isinstance(value, str) and is_url(value) and scheme_of(value) in SCHEMES:
            path = _fetched(key, value, storage)
        if path is None:
            continue
        if path.is_dir():
            folders[key], folder_paths[key] = hash_of_folder(path), str(path.absolute())
            continue
        digest = hash_of_file(path)
        files[key] = {"path": published_path(digest, path.name), "hash": digest}
        published.append(NamedFile(files[key]["path"], path))
    return files, folders, folder_paths, published


def _fetched(key: str, address: str, storage: StorageConfig) -> Path:
    try:
        path = fetched(address, storage)
    except NamedObjectError as error:
        raise ConfigError(f"{key}: {error}") from error
    if path.is_dir():
        raise ConfigError(f"{key}: {address}: is a folder; name one file, or a folder on a disk that all nodes share")
    return path
