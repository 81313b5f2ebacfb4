"""Files of web servers, for reading: what fsspec's file systems do, on urllib3, with the manners that the web asks for.

A server that knows no ranges sends a file once; it is kept in a temporary file of the node, and ranges come from there.
"""

import contextlib
import email.utils
import os
import re
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urljoin, urlsplit

import urllib3

from winnow.storage.config import StorageConfig
from winnow.storage.http_errors import HttpAnswerError, HttpStatusError, passing_error, seconds_asked_for
from winnow.storage.http_proxies import connections, proxy_to
from winnow.storage.request_slots import request_slot
from winnow.version import winnow_version

MOST_REDIRECTS = 5
PIECE_BYTES = 64 << 10
SLOWEST_BYTES_A_SECOND = 2_000
"""A server that sends less, over a whole request and beyond ``storage.timeout_seconds``, counts as silent."""
MOST_ANSWERS = 64
"""That a range may take, of servers that send less at a time than they were asked for."""
MOST_WHOLE = 2
"""Files of servers without ranges that a process keeps at a time."""
MOST_VERSIONS = 10_000
_REDIRECTS = (301, 302, 303, 307, 308)
_NO_HEAD = (400, 403, 405, 501)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class _Told(NamedTuple):
    """What an answer tells of the file."""

    size: int | None
    etag: str
    modified: datetime | None


class HttpFiles:
    """Files behind http:// and https://. Used by several threads."""

    def __init__(self, config: StorageConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._pools: dict[str, urllib3.PoolManager] = {}
        self._versions: OrderedDict[str, tuple[str, int | None]] = OrderedDict()
        self._whole: OrderedDict[str, BinaryIO] = OrderedDict()
        self._fetching = threading.Lock()
        self._headers = {
            "User-Agent": f"winnow/{winnow_version()} (+https://pypi.org/project/winnow-corpus/)",
            "Accept-Encoding": "identity",
        }

    def begin(self, url: str) -> None:
        """A new reading of a file begins: another version of it than before is no news."""
        with self._lock:
            self._versions.pop(url, None)
            if old := self._whole.pop(url, None):
                old.close()

    def info(self, url: str) -> dict[str, Any]:
        """Size and version of a file, as fsspec tells them; a file whose size nobody tells is fetched.

        Raises:
            FileNotFoundError: there is none. OSError: the server refuses, or does not answer.
        """
        told: _Told | None = None
        try:
            with self._answer("HEAD", url) as (answer, _):
                told = _told(answer)
        except HttpStatusError as error:
            if error.status not in _NO_HEAD:
                raise
        if told is None or told.size is None:
            told = self._told_by_range(url)
        name = url.partition("://")[2]
        size = told.size if told.size is not None else self._size_of_whole(url)
        return {"name": name, "type": "file", "size": size, "etag": told.etag, "last_modified": told.modified}

    def cat_file(self, url: str, start: int | None = None, end: int | None = None) -> bytes:
        """Bytes [start, end) of a file, or all of it.

        Raises:
            FileNotFoundError: there is none. OSError: the server refuses, does not answer, or sends something else.
        """
        start = start or 0
        pieces: list[bytes] = []
        for _ in range(MOST_ANSWERS):
            try:
                data, more = self._some(url, start, end)
            except HttpStatusError as error:
                if error.status != 416 or not pieces:
                    raise
                data, more = b"", False  # the file ends here, and the answers before this one did not say so
            pieces.append(data)
            start += len(data)
            if not more:
                return b"".join(pieces) if len(pieces) > 1 else data
        raise HttpAnswerError(f"sends less than it was asked for, {MOST_ANSWERS} times")

    def _some(self, url: str, start: int, end: int | None) -> tuple[bytes, bool]:
        """Bytes from ``start`` on, and whether there are more up to ``end``: servers may send less than that."""
        if (data := self._held(url, start, end)) is not None:
            return data, False
        with self._answer("GET", url, f"bytes={start}-{'' if end is None else end - 1}") as (answer, slow):
            told = _told(answer)
            self._check_version(url, told)
            if answer.status == 206:
                first, stop = _range_of(answer)
                if first != start:
                    raise HttpAnswerError(f"was asked for bytes from {start:,} on and sent them from {first:,} on")
                wanted = stop - first if end is None else min(stop, end) - first
                data = b"".join(_pieces(answer, wanted, slow))
                if len(data) < wanted:
                    raise ConnectionError(f"the answer ends after {len(data):,} of {wanted:,} bytes")
                asked = end if told.size is None else min(told.size, end or told.size)
                return data, asked is not None and first + wanted < asked
            if start == 0 and (end is None or (told.size is not None and told.size <= end)):
                return b"".join(_pieces(answer, told.size, slow)), False
        return self._from_whole(url, start, end), False

    def gives_ranges(self, url: str) -> bool:
        """Whether the server sends a part of a file where a part is asked for.

        Raises:
            FileNotFoundError: there is none. OSError: the server refuses, or does not answer.
        """
        try:
            with self._answer("GET", url, "bytes=0-0") as (answer, _):
                return answer.status == 206
        except HttpStatusError as error:
            if error.status == 416:  # an empty file
                return False
            raise

    def get_file(self, url: str, path: str) -> None:
        """Write a file to a local one."""
        with open(path, "wb") as file:  # noqa: PTH123 - as fsspec's own takes it
            self._fetch(url, file)

    def _told_by_range(self, url: str) -> _Told:
        try:
            with self._answer("GET", url, "bytes=0-0") as (answer, _):
                return _told(answer)
        except HttpStatusError as error:
            if error.status == 416:  # an empty file
                return _Told(0, "", None)
            raise

    def _held(self, url: str, start: int, end: int | None) -> bytes | None:
        """Bytes of a file that was fetched as a whole; None where it was not."""
        with self._lock:
            file = self._whole.get(url)
            return None if file is None else _bytes_of(file, start, end)

    def _from_whole(self, url: str, start: int, end: int | None) -> bytes:
        with self._fetching:
            if (data := self._held(url, start, end)) is not None:
                return data
            file = tempfile.TemporaryFile(dir=self._config.scratch_folder)  # noqa: SIM115 - kept for later ranges
            try:
                self._fetch(url, file)
            except BaseException:
                file.close()
                raise
            with self._lock:
                self._whole[url] = file
                while len(self._whole) > MOST_WHOLE:
                    self._whole.popitem(last=False)[1].close()
                return _bytes_of(self._whole[url], start, end)

    def _size_of_whole(self, url: str) -> int:
        self._from_whole(url, 0, 0)
        with self._lock:
            return os.fstat(self._whole[url].fileno()).st_size

    def _fetch(self, url: str, file: Any) -> None:
        most = self._config.cache_mb * 1_000_000
        with self._answer("GET", url) as (answer, slow):
            told = _told(answer)
            self._check_version(url, told)
            size = 0
            for piece in _pieces(answer, None, slow):
                size += len(piece)
                if size > most:
                    raise HttpAnswerError(
                        f"knows no ranges and sends more than storage.cache_mb ({self._config.cache_mb:,} MB); "
                        "download the file first"
                    )
                file.write(piece)
            file.flush()
            if told.size is not None and size != told.size:
                raise ConnectionError(f"the answer ends after {size:,} of {told.size:,} bytes")

    def _check_version(self, url: str, told: _Told) -> None:
        """Compare an answer with the ones before it: pieces of two versions make no file."""
        version = (told.etag or str(told.modified or ""), told.size)
        with self._lock:
            known = self._versions.setdefault(url, version)
            self._versions.move_to_end(url)
            if len(self._versions) > MOST_VERSIONS:
                self._versions.popitem(last=False)
        if known[0] != version[0] or (None not in (known[1], version[1]) and known[1] != version[1]):
            raise HttpAnswerError(f"wrote the file anew while it was read (version {known[0]} then, {version[0]} now)")

    @contextlib.contextmanager
    def _answer(self, method: str, url: str, wanted: str = "") -> Iterator[tuple[urllib3.BaseHTTPResponse, float]]:
        """An answer with status 200 or 206, behind redirects, and when it will have taken too long; while it is open, a
        slot of the server is held."""
        headers = self._headers | ({"Range": wanted} if wanted else {})
        place = url
        for _ in range(MOST_REDIRECTS + 1):
            parts = urlsplit(place)
            slots = self._config.scratch_folder / f"winnow-requests-{os.getuid()}"
            with request_slot(slots, parts.netloc, self._config.requests_per_host):
                began = time.monotonic()
                with passing_error(parts.hostname or ""):
                    answer = self._pool(place).request(
                        method, place, headers=headers, preload_content=False, decode_content=False,
                        redirect=False, retries=False,
                        timeout=urllib3.Timeout(
                            connect=min(self._config.timeout_seconds, 10.0), read=self._config.timeout_seconds
                        ),
                    )  # fmt: skip
                    try:
                        if answer.status not in _REDIRECTS:
                            _check(answer, url)
                            yield answer, began + self._config.timeout_seconds
                            return
                    finally:
                        _let_go(answer)
            place = _behind(place, answer)
        raise HttpAnswerError(f"sent us on more than {MOST_REDIRECTS} times")

    def _pool(self, place: str) -> urllib3.PoolManager:
        """Connections to a place, through the proxy that the environment names for it."""
        proxy = proxy_to(place)
        with self._lock:
            if proxy not in self._pools:
                self._pools[proxy] = connections(proxy)
            return self._pools[proxy]


def _bytes_of(file: BinaryIO, start: int, end: int | None) -> bytes:
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), max(0, (size if end is None else min(end, size)) - start), start)


def _behind(place: str, answer: urllib3.BaseHTTPResponse) -> str:
    """Where a redirect leads."""
    target = urljoin(place, answer.headers.get("Location", ""))
    parts = urlsplit(target)
    if not answer.headers.get("Location") or parts.scheme not in ("http", "https") or not parts.hostname:
        raise HttpAnswerError("sent us on to a place that is no http:// or https:// address")
    if urlsplit(place).scheme == "https" and parts.scheme == "http":
        raise HttpAnswerError(f"sent us on from https:// to http:// ({parts.hostname}), which is not followed")
    return target


def _check(answer: urllib3.BaseHTTPResponse, url: str) -> None:
    if answer.status in (404, 410):
        raise FileNotFoundError(2, "no such file", url)
    if answer.status not in (200, 206):
        raise HttpStatusError(
            answer.status, str(answer.reason or ""), seconds_asked_for(answer.headers.get("Retry-After", ""))
        )
    coding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity") and not (coding in ("gzip", "x-gzip") and urlsplit(url).path.endswith(".gz")):
        raise HttpAnswerError(f"sends the file in another form than it was asked for (Content-Encoding: {coding[:40]})")


def _let_go(answer: urllib3.BaseHTTPResponse) -> None:
    """Give a connection back where the answer has been read, and end it where there is more to come."""
    if answer.closed or getattr(answer, "length_remaining", None) == 0:
        answer.drain_conn()  # nothing is left, but the connection is not told so before
    else:
        answer.close()


def _pieces(answer: urllib3.BaseHTTPResponse, most: int | None, slow: float) -> Iterator[bytes]:
    """At most so many bytes of a body."""
    read = 0
    while most is None or read < most:
        piece = answer.read(PIECE_BYTES if most is None else min(PIECE_BYTES, most - read), decode_content=False)
        if not piece:
            return
        read += len(piece)
        if time.monotonic() > slow + read / SLOWEST_BYTES_A_SECOND:
            raise TimeoutError(f"sends under {SLOWEST_BYTES_A_SECOND:,} bytes a second")
        yield piece


def _told(answer: urllib3.BaseHTTPResponse) -> _Told:
    headers = answer.headers
    if answer.status == 206:
        found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        total = found[3] if found else ""
    else:
        total = headers.get("Content-Length", "")
    modified = None
    with contextlib.suppress(ValueError, TypeError):
        modified = email.utils.parsedate_to_datetime(headers["Last-Modified"]) if "Last-Modified" in headers else None
    if modified is not None and modified.tzinfo is None:
        modified = modified.replace(tzinfo=UTC)
    etag = headers.get("ETag", "").strip().removeprefix("W/").strip('"')
    return _Told(int(total) if total.isdecimal() and len(total) < 19 else None, etag[:200], modified)


def _range_of(answer: urllib3.BaseHTTPResponse) -> tuple[int, int]:
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if found is None:
        raise HttpAnswerError("sends a part without saying which (Content-Range)")
    return int(found[1]), int(found[2]) + 1
