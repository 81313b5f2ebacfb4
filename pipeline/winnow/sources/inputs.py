"""Input files, wherever the config says they are: their names, and what tells whether one has changed."""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from glob import has_magic
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import xxhash

from winnow.errors import AddressError, InputError
from winnow.storage.address import absolute, is_url, is_web, real, without_query
from winnow.storage.config import StorageConfig
from winnow.storage.hub import is_hub, parse_hub
from winnow.storage.listing import is_passed_over


class InputState(NamedTuple):
    """What tells a file from another one of the same name: size, and time of change or (of objects) the etag.

    Of a file that a list names, and that nobody has asked for yet, all are empty: its name tells it.
    """

    bytes: int
    modified_ns: int
    etag: str = ""
    ranges: str = ""
    """Of an archive of which a list names some records: ``offset:length``, with commas between them, rising."""

    @property
    def version(self) -> int | str:
        """Time of change or etag, and which records are meant."""
        version = self.etag or self.modified_ns
        return f"{version}#{xxhash.xxh3_128_hexdigest(self.ranges.encode())}" if self.ranges else version

    @property
    def is_unasked(self) -> bool:
        """Whether a list names the file, and nobody has asked for it."""
        return not (self.modified_ns or self.etag)


_listed: dict[str, InputState] = {}
"""Objects as the last listing of theirs told them: a store that lists ten thousand need not be asked for each."""


def remember(path: str, state: InputState | None) -> None:
    """Have :func:`look_at` tell this of a file; None has it look."""
    if state is None:
        _listed.pop(path, None)
    else:
        _listed[path] = state


def list_paths(pattern: str, storage: StorageConfig | None = None, left_out: Sequence[str] = ()) -> list[str]:
    """Files that one ``path`` entry of a source names: a file, a folder (searched through), or a glob (``**`` too).

    A folder that a glob names is searched through, too. Names that begin with a dot are passed over in folders and
    globs, as shells do, and what Spark and the like leave beside data (``is_passed_over``). Links are followed: of a
    folder source each real folder is searched once, under its own name where it has one below the source.

    Args:
        pattern: the entry.
        storage: how object stores are reached.
        left_out: folders and addresses of which nothing is listed, unless the entry's part before the first wildcard
            names one of them, or something below it.

    Raises:
        InputError: nothing is there, a folder cannot be listed, a link leads nowhere, something is no file (a pipe, a
            socket, a device), or a name is not UTF-8.
    """
    start = real(absolute(_start(pattern)))
    outside = [folder for folder in map(real, map(absolute, left_out)) if not _below(start, [folder])]
    if is_web(pattern):
        return [_web_file(pattern, storage or StorageConfig())]
    if is_url(pattern):
        return _list_objects(pattern, storage or StorageConfig(), outside)
    try:
        return [_named(path) for path in _list_local(pattern, outside)]
    except OSError as error:
        raise InputError(
            f"{error.filename or pattern}: cannot be looked at ({error.strerror}); make the folders that lead to it "
            "readable, or name the files that are meant in `path`"
        ) from error


def _below(path: str, folders: Sequence[str]) -> bool:
    """Whether a path or URL is one of some folders, or lies in one."""
    return any(path == folder or path.startswith(f"{folder.rstrip('/')}/") for folder in folders)


def _start(pattern: str) -> str:
    """The part of an entry before its first wildcard, as the user wrote it; empty is the current folder."""
    if not has_magic(pattern) or (not is_url(pattern) and Path(pattern).exists()):
        return pattern
    parts = pattern.split("/")
    first = next(number for number, part in enumerate(parts) if has_magic(part))
    start = "/".join([*parts[:first], ""]) if first else ""
    return start.rstrip("/") or start


def _list_local(pattern: str, left_out: Sequence[str]) -> list[str]:
    root = Path(pattern)
    besides = "".join(f"; {folder}, which winnow writes, is not looked at" for folder in left_out)
    if root.is_file():
        return [pattern]
    if root.is_dir():
        found = _search_folder(pattern, left_out)
        if not found:
            raise InputError(f"{pattern}: the folder holds no files; put the input there or correct `path`{besides}")
        return found
    _check_link(pattern)
    if root.exists():
        refuse_special(pattern)
    braces = "; {a,b} is not expanded here: write a list of paths" if re.search(r"\{[^{}]*,[^{}]*\}", pattern) else ""
    if has_magic(pattern):
        found = _match(pattern, left_out)
        if not found:
            listed = re.fullmatch(r"\[\s*([\"'])(.*)\1\s*,?\s*\]", pattern)
            hint = f"; a list stands without quotes around it: path: [{listed[2]}]" if listed else ""
            raise InputError(
                f"{pattern}: no file matches; check the pattern (`**` goes through folders, `[abc]` is one of these "
                f"letters){hint}{braces}{besides}"
            )
        return found
    raise InputError(f"{pattern}: no such file or folder; correct `path` or create it{braces}")


def _search_folder(root: str, left_out: Sequence[str]) -> list[str]:
    """All files below a folder; linked folders come last, so that a link renames no file that lies there itself."""
    found: list[str] = []
    folders, links = [str(Path(root))], list[str]()
    searched: set[str] = set()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        where = real(folder)
        if where in searched or _below(where, left_out):
            continue
        searched.add(where)
        for entry in _entries(folder):
            if entry.is_dir():
                (links if entry.is_symlink() else folders).append(entry.path)
                continue
            if not entry.is_file():
                _check_link(entry.path)
                refuse_special(entry.path)
            found.append(entry.path)
    return sorted(found)


def _match(pattern: str, left_out: Sequence[str]) -> list[str]:
    """The files that a glob names. ``glob`` itself passes over what it may not list, and documents with it."""
    start = _start(pattern)  # as the user wrote it: paths are names of files in the catalogue
    if not Path(start).is_dir():
        return []
    if pattern.endswith("/"):  # folders alone are meant
        pattern += "**"
    parts = [part for part in pattern.removeprefix(start).split("/") if part]
    again = [here == before == "**" for before, here in pairwise(["", *parts])]
    return sorted(set(_expand(start, [part for part, twice in zip(parts, again, strict=True) if not twice], left_out)))


def _expand(
    folder: str, parts: list[str], left_out: Sequence[str], above: tuple[str, ...] = (), *, goes_deeper: bool = False
) -> Iterator[str]:
    """Files below ``folder`` that the rest of a glob names.

    Args:
        folder: where to look; empty is the current one.
        parts: of the pattern, at least one.
        left_out: real folders of which nothing is named.
        above: real folders that the ``**`` at the head of ``parts`` came through: a link to one of them is a loop.
        goes_deeper: a ``**`` before ``parts`` comes to all that lies in folders here by itself.
    """
    if left_out and _below(real(folder), left_out):
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _expand(folder, rest or ["*"], left_out, goes_deeper=True)
        above = (*above, real(folder))
        for entry in _entries(folder):
            if entry.is_dir():
                path = os.path.join(folder, entry.name)  # noqa: PTH118 - keeps "a//b" as the user wrote it
                if not (entry.is_symlink() and real(path) in above):
                    yield from _expand(path, parts, left_out, above)
        return
    found: list[tuple[str, os.DirEntry[str] | Path]] = [(part, Path(folder, part))]
    if has_magic(part):  # an entry knows what it is; to ask the file system takes ten times as long
        entries = _entries(folder, asked=part[0])
        found = [(entry.name, entry) for entry in entries if fnmatchcase(entry.name, part) or entry.name == part]
    for name, one in found:
        path = os.path.join(folder, name)  # noqa: PTH118 - as above
        if one.is_symlink():
            _check_link(path)
        if not rest:
            if one.is_file():
                yield path
            elif one.is_dir():
                if not (goes_deeper and part == "*"):
                    yield from _search_folder(path, left_out)
            elif os.path.exists(path):  # noqa: PTH110 - as above
                refuse_special(path)
        elif one.is_dir():
            yield from _expand(path, rest, left_out)


def _entries(folder: str, *, asked: str = "") -> list[os.DirEntry[str]]:
    """What a folder holds, in order of names; what is passed over only where it begins as was asked for.

    Raises:
        InputError: it cannot be listed.
    """
    try:
        with os.scandir(folder or ".") as entries:
            taken = (e for e in entries if not is_passed_over(e.name) or e.name[0] == asked)
            return sorted(taken, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(
            f"{folder}: this folder cannot be listed ({error.strerror}), so that its files would be missed; make it "
            "readable, or name the files that are meant in `path`"
        ) from error


def _check_link(path: str) -> None:
    """Refuse a link that leads nowhere."""
    link = Path(path)
    if link.is_symlink() and not link.exists():
        raise InputError(
            f"{path}: a link to {link.readlink()}, which does not exist; mend or remove the link, or put back what "
            "it leads to"
        )


def refuse_special(path: str) -> None:
    """Say what is there and is no file: reading it could wait for ever, or give something else each time."""
    mode = Path(path).stat().st_mode
    kinds = {
        stat.S_IFIFO: "a pipe (FIFO)",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    what = kinds.get(stat.S_IFMT(mode), "something")
    raise InputError(
        f"{path}: {what}, which is no file; move it away, write what it gives into a file, or narrow `path`"
    )


def _named(path: str) -> str:
    """The path, whose name must be text: it stands in tables, in ids and in the catalogue.

    Raises:
        InputError: it is not UTF-8.
    """
    try:
        path.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise InputError(
            f"{shown}: the name is not UTF-8 (`\\x..` stands for its bytes); rename it, such as with `convmv -f latin1 "
            "-t utf8 --notest`, or narrow `path` so that it is not meant"
        ) from error
    return path


def _web_file(address: str, storage: StorageConfig) -> str:
    if has_magic(re.sub(r"^https?://\[[^\]/]*\]", "", without_query(address))):
        raise InputError(
            f"{address}: web servers list no files, so that a pattern cannot be matched; name the files in `path`, or "
            "a list of them in `paths_from` (a letter of a name such as [ is written %5B, * is %2A)"
        )
    remember(address, None)
    try:
        look_at(address, storage)
    except FileNotFoundError:
        raise InputError(f"{address}: the server has no such file; correct `path`") from None
    return address


def _list_objects(pattern: str, storage: StorageConfig, left_out: Sequence[str]) -> list[str]:
    from winnow.storage.listing import find_objects  # noqa: PLC0415
    from winnow.storage.object_files import object_files  # noqa: PLC0415 - only object stores need it

    try:
        if is_hub(pattern) and not (address := parse_hub(pattern)).is_pinned:
            pattern = address.at(object_files(pattern, storage).hub_revision(pattern).commit).url
        found = [
            state for state in find_objects(object_files(pattern, storage), pattern) if not _below(state.url, left_out)
        ]
    except AddressError as error:
        raise InputError(str(error)) from error
    if not found:
        what = (
            "no object matches; check the pattern (`**` goes through folders)"
            if has_magic(pattern)
            else "no such object"
        )
        raise InputError(f"{pattern}: {what}, nor anything below it; correct `path` or put the input there")
    _listed.update({state.url: InputState(state.bytes, 0, state.etag) for state in found})
    return [state.url for state in found]


def look_at(path: str, storage: StorageConfig | None = None) -> InputState:
    """Size and version of a file; of an object, what its last listing in this process told.

    Raises:
        OSError: it is not there, or cannot be looked at.
    """
    if path in _listed:
        return _listed[path]
    if not is_url(path):
        status = Path(path).stat()
        return InputState(status.st_size, status.st_mtime_ns)
    from winnow.storage.object_files import object_files  # noqa: PLC0415

    state = object_files(path, storage or StorageConfig()).state(path)
    if state is None:
        raise FileNotFoundError(2, "no such object", path)
    _listed[path] = InputState(state.bytes, 0, state.etag)
    return _listed[path]


def check_unchanged(read: Iterable[tuple[str, str]], storage: StorageConfig) -> None:
    """Look whether objects are still the ones that were catalogued, after they have been read.

    Args:
        read: URL and etag of the catalogue. One that has gone since is not missed: it has been read.
        storage: how they are reached.

    Raises:
        InputError: one was written anew, so that what was read may be of either, or a mixture.
    """
    from winnow.storage.object_files import object_files  # noqa: PLC0415

    expected = {path: etag for path, etag in read if not (is_hub(path) and parse_hub(path).is_pinned)}
    if not expected:  # a commit does not change
        return
    for path, state in zip(expected, object_files(next(iter(expected)), storage).states(list(expected)), strict=True):
        if state is not None and state.etag != expected[path]:
            raise InputError(
                f"{path}: written anew since this run catalogued it (etag {expected[path]} then, {state.etag} now); "
                "run the same command again, which takes it as a new file, and leave inputs alone while a run reads"
            )
