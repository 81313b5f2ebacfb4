"""Files of web servers and lists that are cut among workers: what their servers say of size, version and ranges.

Only large ones are asked for: reading such a file twice, once to count it, costs little beside what is done with its
text. What was told stands in the run folder, so that a server that is silent later changes no plan.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import orjson

from winnow.sources.catalogue import InputFile
from winnow.sources.read import can_split, format_of
from winnow.sources.readers.registry import READERS
from winnow.sources.source import SourceConfig
from winnow.stages.ingest.estimates import SHARE_OF_LARGE, estimated_bytes, estimated_text
from winnow.storage.address import is_url, is_web
from winnow.storage.store import Store

TOLD = "afar.json"
AT_ONCE = 8
NO_VERSION = "its server tells no version of it (ETag, Last-Modified), so that a change would not be noticed"
NO_RANGES = "its server sends no ranges"


@dataclass(frozen=True)
class Told:
    """What a server says of a file."""

    bytes: int
    etag: str
    """Or the time of its last change."""
    whole: str = ""
    """Why it is not cut; empty where it can be."""


def ask(
    files: list[InputFile], sources: dict[str, SourceConfig], unit_bytes: int, store: Store, *, save: bool
) -> dict[str, Told]:
    """What is told of each file from afar that would be cut, by path; a file that is not there is left out.

    Args:
        files: of the catalogue.
        sources: by name.
        unit_bytes: files up to that are not cut.
        store: the run folder.
        save: False only looks (``winnow plan``).
    """
    wanted = list(_wanted(files, sources, unit_bytes))
    if not wanted:
        return {}
    known: dict[str, Told] = {}
    if store.exists(TOLD):
        known = {path: Told(**told) for path, told in orjson.loads(store.read(TOLD)).items()}
    silent: set[str] = set()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda file: _asked(file, known.get(file.path), store, silent), wanted))
    found = {file.path: told for file, told in zip(wanted, answers, strict=True) if told is not None}
    if save and found != known:
        store.replace(TOLD, orjson.dumps({path: asdict(told) for path, told in sorted(found.items())}))
    return found


def _wanted(files: list[InputFile], sources: dict[str, SourceConfig], unit_bytes: int) -> Iterator[InputFile]:
    total = estimated_text(files, sources)
    for file in files:
        if not is_url(file.path) or file.ranges or (file.bytes and not is_web(file.path)):
            continue
        source = sources[file.source]
        kind = format_of(file.path, source)
        if not (READERS.get(kind).cut_from_afar and can_split(file.path, kind, source)):
            continue
        size = estimated_bytes(file, kind)
        if size > unit_bytes and size * SHARE_OF_LARGE >= 1 << total.bit_length():
            yield file


def _asked(file: InputFile, known: Told | None, store: Store, silent: set[str]) -> Told | None:
    from winnow.storage.object_files import object_files  # noqa: PLC0415 - only what is far away needs it

    host = urlsplit(file.path).netloc
    if known and file.bytes and (known.bytes, known.etag) == (file.bytes, file.etag):
        return known
    if host in silent:
        return known
    try:
        client = object_files(file.path, store.storage)
        state = None if file.bytes else client.state(file.path)
        size, etag = (file.bytes, file.etag) if file.bytes else (state.bytes, state.etag) if state else (0, "")
        if not size:
            return known
        if known and (known.bytes, known.etag) == (size, etag):
            return known
        if etag in ("", repr(0.0)):
            return Told(size, etag, NO_VERSION)
        return Told(size, etag, "" if client.gives_ranges(file.path) else NO_RANGES)
    except OSError:  # whoever reads it says what is wrong
        silent.add(host)
        return known
