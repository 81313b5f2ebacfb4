"""Which files a source wants: what its paths and lists name, or a part of that."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from winnow.errors import InputError
from winnow.sources.inputs import InputState, list_paths, look_at, refuse_special, remember
from winnow.sources.path_lists import PathList, expanded, given_list, list_of, read_list
from winnow.sources.source import SourceConfig
from winnow.storage.address import is_url
from winnow.storage.config import StorageConfig

Json = dict[str, Any]
ASSUMED_BYTES = 64_000_000
"""What a file of a list is taken to hold where none that was asked for told its size."""
ASKED = 8
"""Files of a list whose size is asked for; the others are taken to be like them."""


@dataclass(frozen=True)
class Wanted:
    """What a source says of its files."""

    entries: tuple[str | PathList, ...]
    first_files: int | None = None
    sample_files: float | None = None


def wanted_of(source: SourceConfig, storage: StorageConfig) -> Wanted:
    """What a source wants: ``path``, ``paths_from`` or ``ranges_from``."""
    entries: list[str | PathList] = [list_of(path, storage) or expanded(path, storage) for path in source.paths]
    if source.paths_from:
        entries.append(given_list(source.paths_from, source.base, storage, of_ranges=False))
    if source.ranges_from:
        entries.append(given_list(source.ranges_from, source.base, storage, of_ranges=True))
    return Wanted(tuple(entries), source.first_files, source.sample_files)


def addresses_of(source: SourceConfig, storage: StorageConfig) -> list[str]:
    """Every path and address that a source gives."""
    given = [source.paths_from, source.ranges_from, source.base]
    return [expanded(path, storage) for path in (*source.paths, *given) if path]


def wanted_files(wanted: Wanted, storage: StorageConfig, left_out: Sequence[str]) -> tuple[list[str], Json]:
    """Paths, and what is to be told of them: nothing where all that the paths name is taken.

    Raises:
        InputError: nothing is there, or a list cannot be used.
    """
    found: dict[str, None] = {}
    lists: list[Json] = []
    for entry in wanted.entries:
        if isinstance(entry, PathList):
            found |= dict.fromkeys(_of_list(entry, storage, lists))
        else:
            found |= dict.fromkeys(list_paths(entry, storage, left_out))
    paths = list(found)
    if wanted.first_files is not None:
        paths = paths[: wanted.first_files]
    if wanted.sample_files is not None:
        below = int(wanted.sample_files * 2**64)
        paths = [path for path in paths if xxhash.xxh3_64_intdigest(path.encode()) < below]
        if not paths:
            raise InputError(f"sample_files: {wanted.sample_files:g} of {len(found):,} files are none; give more")
    _assume_sizes(paths, storage)
    if not lists and len(paths) == len(found):
        return paths, {}
    return paths, {"files": len(found), "taken": len(paths), **({"lists": lists} if lists else {})}


def _of_list(wanted: PathList, storage: StorageConfig, lists: list[Json]) -> Iterator[str]:
    listing = read_list(wanted, storage)
    lists.append(
        {
            "path": wanted.address,
            "sha256": listing.sha256,
            "entries": listing.entries,
            "twice": listing.twice,
            "of": "records" if wanted.of_ranges else "files",
        }
    )
    for path, spans in listing.paths.items():
        ranges = ",".join(f"{offset}:{length}" for offset, length in spans)
        remember(path, _state(path, ranges, sum(length for _, length in spans)))
        yield path


def _state(path: str, ranges: str, size: int) -> InputState | None:
    """What is known of a listed file without asking for it over a network; None: its disk says it."""
    if is_url(path):
        return InputState(size, 0, "", ranges)
    if Path(path).is_dir():
        raise InputError(f"{path}: a folder; a list names files (a folder or glob stands in `path`)")
    if not Path(path).exists():
        return InputState(size, 0, "", ranges)
    if not Path(path).is_file():
        refuse_special(path)
    if not ranges:
        return None
    status = Path(path).stat()
    return InputState(size, status.st_mtime_ns, "", ranges)


_assumed: dict[str, int] = {}


def assumed_bytes(path: str) -> int:
    """How large a listed file is taken to be."""
    return _assumed.get(path, ASSUMED_BYTES)


def _assume_sizes(paths: list[str], storage: StorageConfig) -> None:
    """Take files of which nothing is known to be as large as the mean of a few that are asked for."""
    unknown = [path for path in paths if is_url(path) and not look_at(path, storage).bytes]
    if not unknown:
        return
    from winnow.storage.object_files import object_files  # noqa: PLC0415 - only what is far away needs it

    asked = sorted(unknown, key=lambda path: (xxhash.xxh3_64_intdigest(path.encode()), path))[:ASKED]
    sizes: list[int] = []
    for path in asked:
        try:
            state = object_files(path, storage).state(path)
        except OSError:
            break  # whoever reads it says what is wrong
        if state is not None:
            sizes.append(state.bytes)
    mean = max(1, sum(sizes) // len(sizes)) if sizes else ASSUMED_BYTES
    _assumed.update(dict.fromkeys(unknown, mean))
