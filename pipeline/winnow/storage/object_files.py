"""Requests to an object store: sent again after a passing refusal, counted, and explained when they fail for good.

fsspec does the talking: s3fs, gcsfs or adlfs. A client belongs to one process: it is made when it is first needed, and
never travels.
"""

import contextlib
import logging
import os
import random
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from winnow.storage.address import check_address, scheme_of
from winnow.storage.config import StorageConfig
from winnow.storage.hub import HubRevision
from winnow.storage.object_errors import (
    explained,
    is_beyond_end,
    is_full_disk,
    is_missing_bucket,
    is_refusal,
    is_transient,
    lost_race,
    without_secrets,
)
from winnow.storage.schemes import file_system
from winnow.storage.traffic import traffic

log = logging.getLogger("winnow")

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 20.0
LONGEST_ASKED_WAIT_SECONDS = 300.0
"""What a store asks to wait (``Retry-After``) is waited for up to this."""
PART_BYTES = 16_000_000
"""Larger files are uploaded in parts of this size, several at a time; S3 takes 10,000 of them."""
MOST_PARTS = 10_000
READ_BY_VERSION = ("http", "https")
"""Kinds of URL whose client sees to it that all ranges of a reading are of one version."""
AT_ONCE = 16
"""Small objects that are read at the same time."""
LISTED_AT_ONCE = 1000
"""Names that a store lists in one answer."""

T = TypeVar("T")


class ObjectState(NamedTuple):
    """What a store tells of an object without giving it."""

    url: str
    bytes: int
    etag: str
    """Changes with the content; where a store has none, the time of its last change."""
    modified: float
    """Seconds since 1970, by the store's clock."""


class ObjectFiles:
    """All objects behind one kind of URL."""

    def __init__(self, scheme: str, config: StorageConfig) -> None:
        self.scheme = scheme
        self.config = config
        self._files = file_system(scheme, config)
        self._random = random.Random(f"{socket.gethostname()}-{os.getpid()}")  # noqa: S311 - spreads retries, no more
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="objects")

    def read(self, url: str) -> bytes:
        """A small object as a whole.

        Raises:
            FileNotFoundError: there is none. ObjectStorageError: the store refuses.
        """
        whole = {"max_concurrency": 1} if self.scheme == "s3" else {}  # else s3fs asks for the size first
        data: bytes = self._ask("get", "read", url, lambda: self._files.cat_file(url, **whole))
        traffic["bytes_read"] += len(data)
        return data

    def read_all(self, urls: list[str]) -> list[bytes | None]:
        """Small objects, several at the same time; None for one that is not there."""

        def one(url: str) -> bytes | None:
            try:
                return self.read(url)
            except FileNotFoundError:
                return None

        return list(self._pool.map(one, urls))

    def read_range(self, url: str, first: int, end: int) -> bytes:
        """Bytes [first, end) of an object, or fewer where it ends before."""
        try:
            data: bytes = self._ask("get", "read", url, lambda: self._files.cat_file(url, start=first, end=end))
        except _BeyondEndError:
            return b""
        traffic["bytes_read"] += len(data)
        return data

    def begin(self, url: str) -> None:
        """A new reading of an object begins; what was noted of its version by an earlier one is forgotten."""
        if self.scheme in READ_BY_VERSION:
            self._files.begin(url)

    def gives_ranges(self, url: str) -> bool:
        """Whether parts of an object can be read without the rest: of a web server, as it answers."""
        if self.scheme not in READ_BY_VERSION:
            return True
        found: bool = self._ask("get", "look at", url, lambda: self._files.gives_ranges(url))
        return found

    def later(self, function: Callable[[], T]) -> Any:
        """A future of what ``function`` returns, worked on meanwhile."""
        return self._pool.submit(function)

    def write(self, url: str, data: bytes, *, once: bool = False) -> None:
        """Write a small object over whatever is there; ``once`` raises FileExistsError where something is."""
        mode = {"mode": "create"} if once else {}
        self._ask("put", "write", url, lambda: self._files.pipe_file(url, data, **mode))
        traffic["bytes_written"] += len(data)

    def create(self, url: str, data: bytes) -> bool:
        """Write a small object if there is none: True for the one who did.

        An answer may be lost on its way; then the next attempt meets what this one has written. So who loses looks
        whose content is there: contents tell writers apart.
        """
        try:
            self._ask("put", "create", url, lambda: self._files.pipe_file(url, data, mode="create"))
        except FileExistsError:
            try:
                return self.read(url) == data
            except FileNotFoundError:
                return False
        traffic["bytes_written"] += len(data)
        return True

    def upload(self, url: str, path: str, size: int, *, once: bool = False) -> None:
        """Write an object from a local file: in parts where it is large, and visible only as a whole; ``once`` raises
        FileExistsError where something is there."""
        part = max(PART_BYTES, -(-size // (MOST_PARTS - 1)))
        parts: dict[str, Any] = {"chunksize": part} if self.scheme in ("s3", "gs", "gcs") else {}
        parts |= {"mode": "create"} if once and parts else {}  # elsewhere the last one wins
        self._ask("put", "upload to", url, lambda: self._files.put_file(path, url, **parts))
        traffic["bytes_written"] += size
        if size >= 2 * part:
            traffic["put"] += 1 + -(-size // part)  # begin, and the parts

    def download(self, url: str, path: str) -> None:
        """Write an object to a local file."""
        self._ask("get", "read", url, lambda: self._files.get_file(url, path))

    def state(self, url: str) -> ObjectState | None:
        """Size and version of an object; None where there is none."""
        try:
            told = self._ask("head", "look at", url, lambda: self._files.info(url, **_REFRESH.get(self.scheme, {})))
        except FileNotFoundError:
            return None
        return self._state(told) if told["type"] == "file" else None

    def states(self, urls: list[str]) -> list[ObjectState | None]:
        """Size and version of several objects, asked for at the same time."""
        return list(self._pool.map(self.state, urls))

    def below(self, url: str, prefix: str = "") -> list[ObjectState]:
        """Every object below a folder, sorted by URL; with ``prefix``, those alone whose rest begins so."""
        options = {"prefix": prefix} if prefix and self.scheme in ("s3", "gs", "gcs") else {}

        def ask() -> dict[str, Any]:
            self._files.invalidate_cache()
            found: dict[str, Any] = self._files.find(url, detail=True, **options)
            return found

        try:
            found = self._ask("list", "list", url, ask)
        except FileNotFoundError:
            return []
        traffic["list"] += len(found) // LISTED_AT_ONCE
        states = (self._state(told) for told in found.values() if told["type"] == "file")
        return sorted(state for state in states if state.url.startswith(f"{url.rstrip('/')}/{prefix}"))

    def directly_in(self, url: str) -> tuple[list[ObjectState], list[str]]:
        """Objects and names of folders directly in a folder, both sorted."""

        def ask() -> list[dict[str, Any]]:
            self._files.invalidate_cache()
            found: list[dict[str, Any]] = self._files.ls(url, detail=True)
            return found

        try:
            listed = self._ask("list", "list", url, ask)
        except FileNotFoundError:
            return [], []
        traffic["list"] += len(listed) // LISTED_AT_ONCE
        folder = f"{url.rstrip('/')}/"
        files = sorted(self._state(told) for told in listed if told["type"] == "file")
        folders = sorted(told["name"].rstrip("/").rpartition("/")[2] for told in listed if told["type"] == "directory")
        return [file for file in files if file.url.startswith(folder)], folders

    def hub_revision(self, url: str) -> HubRevision:
        """Of a hub: the commit that an address means now, and the licence of its card.

        Raises:
            HubError: there is no such data set or revision, or it may not be read.
        """
        found: HubRevision = self._ask("head", "look at", url, lambda: self._files.revision(url))
        return found

    def remove(self, url: str) -> None:
        """Remove an object; no error where there is none."""
        with contextlib.suppress(FileNotFoundError):
            self._ask("delete", "remove", url, lambda: self._files.rm_file(url))

    def copy(self, url: str, target: str) -> None:
        """Copy an object inside the store."""
        self._ask("copy", "copy", url, lambda: self._files.cp_file(url, target))

    def _state(self, told: dict[str, Any]) -> ObjectState:
        changed = told.get("LastModified") or told.get("last_modified") or told.get("updated") or told.get("created")
        if isinstance(changed, str):
            changed = datetime.fromisoformat(changed)
        modified = changed.timestamp() if isinstance(changed, datetime) else float(changed or 0.0)
        etag = told.get("ETag") or told.get("etag") or told.get("md5Hash") or repr(modified)
        return ObjectState(
            f"{self.scheme}://{told['name'].lstrip('/')}", int(told["size"]), str(etag).strip('"'), modified
        )

    def _ask(self, kind: str, doing: str, url: str, request: Callable[[], T]) -> T:
        for attempt in range(self.config.retries + 1):
            traffic[kind] += 1
            try:
                return request()
            except Exception as error:
                if isinstance(error, FileNotFoundError) and not is_missing_bucket(error):
                    raise FileNotFoundError(2, "no such object", url) from None
                if is_full_disk(error):
                    raise
                if lost_race(error) and kind == "put":
                    raise FileExistsError(17, "the object is there", url) from None
                if is_beyond_end(error):
                    raise _BeyondEndError from None
                if not is_refusal(error):
                    raise
                if not is_transient(error) or attempt == self.config.retries:
                    raise explained(error, doing, url, attempt + 1) from None
                self._wait(attempt, error, doing, url)
        raise AssertionError

    def _wait(self, attempt: int, error: BaseException, doing: str, url: str) -> None:
        traffic["retries"] += 1
        seconds = min(FIRST_WAIT_SECONDS * 2**attempt, LONGEST_WAIT_SECONDS) * self._random.uniform(0.5, 1.0)
        seconds = max(seconds, min(getattr(error, "retry_after", 0.0), LONGEST_ASKED_WAIT_SECONDS))
        if attempt == 2:  # one hiccup is no news
            log.warning(
                "cannot %s %s: %s; asking again", doing, url, without_secrets(f"{type(error).__name__}: {error}")
            )
        time.sleep(seconds)


class _BeyondEndError(Exception):
    """A range begins behind the end of an object."""


_REFRESH: dict[str, dict[str, bool]] = {"s3": {"refresh": True}}
_clients: dict[tuple[int, str, StorageConfig], ObjectFiles] = {}


def object_files(url: str, config: StorageConfig) -> ObjectFiles:
    """This process's client of the store that a URL belongs to.

    Raises:
        AddressError: the URL cannot be used, or its package is not installed.
    """
    check_address(url)
    key = (os.getpid(), scheme_of(url), config)
    if key not in _clients:
        _clients[key] = ObjectFiles(key[1], config)
    return _clients[key]


def forget_clients() -> None:
    """Make clients anew when they are next needed, e.g. for credentials or servers that have changed."""
    _clients.clear()
