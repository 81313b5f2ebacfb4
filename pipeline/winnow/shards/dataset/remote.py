"""A shard set behind a URL: whole shards are fetched into a local folder of bounded size, once a machine.

Processes agree through file locks: one fetches a shard, the others wait for it. A shard is named by its sha256 in the
cache and compared with it when it is fetched, so what lies there is what the manifest means, even if the same URL held
another set before. The shards used longest ago make room; one that a process still has mapped keeps its disk space
until that process lets it go.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

from winnow.errors import ShardError
from winnow.numeric.file_lock import file_lock
from winnow.numeric.own_folder import user_cache
from winnow.shards.dataset.folders import AT_ONCE, FileEntry, OpenedFile

DEFAULT_CACHE_MB = 20_000
"""Largest size of the cache, in MB: two windows of 16 shards of 256 MB, twice."""
ATTEMPTS = 5
"""How often a file is asked for, beside what the file system's own library does."""
FIRST_WAIT_SECONDS = 0.5
"""Wait after the first failure; each further one is twice as long."""
_COPY_AGAIN = "copy it again from where it was made"
_CHECK = "look at the network, the endpoint and the credentials"
_DRAFT = ".draft-"
_LOCKS = "locks"
_ROOM = "room"  # the lock of the whole cache


class _Expected(NamedTuple):
    """A shard that is being fetched ahead."""

    bytes: int
    fetched: Future[None]


class RemoteFolder:
    """A folder that fsspec can read.

    Args:
        location: URL of the folder.
        cache: local folder; by default ``winnow-shards`` in the user's cache folder. Several sets can share it.
        cache_mb: its largest size, in MB; shards that are being fetched come on top.

    Raises:
        ShardError: fsspec, or what it needs for this kind of URL, is not installed.
    """

    def __init__(self, location: str, cache: str | None = None, cache_mb: int | None = None) -> None:
        self.location = location.removesuffix("/manifest.json").rstrip("/")
        try:
            self._root = Path(cache) if cache else user_cache() / "winnow-shards"
        except OSError as error:
            raise ShardError(f"no place for a cache of shards ({error}); give `cache` a folder") from None
        self._max_bytes = (DEFAULT_CACHE_MB if cache_mb is None else cache_mb) * 1_000_000
        name = hashlib.blake2b(self.location.encode(), digest_size=8).hexdigest()
        self._folder = self._root / name
        self._expected: dict[str, _Expected] = {}
        self._process = 0
        self._remote()

    def read(self, name: str) -> bytes:
        """A small file as a whole, fetched anew."""
        content: bytes = self._patiently(name, lambda files, path: files.cat_file(path))
        return content

    def open(self, file: FileEntry) -> OpenedFile:
        """The shard in the cache, fetched if it is not there.

        It is opened before another process can take it out again: under the name that it has, or as the draft that was
        fetched. So a cache that is smaller than what its processes read at a time is slow, and never fails.

        Raises:
            ShardError: it is missing there, has another size or sha256, cannot be fetched, or does not fit into the
                cache.
        """
        name, size = file.path, file.bytes
        if size > self._max_bytes:
            raise ShardError(
                f"{self.location}/{name} has {size:,} bytes, the cache {self._root} may hold {self._max_bytes:,}; "
                "raise cache_mb"
            )
        target = self._cached(file)
        with self._locked(target.name):
            with contextlib.suppress(FileNotFoundError):
                opened = target.open("rb")
                if os.fstat(opened.fileno()).st_size == size:
                    os.utime(opened.fileno())  # used now
                    return OpenedFile(target, opened)
                opened.close()
            self._make_room(size)
            return OpenedFile(target, self._fetch(file, target))

    def expect(self, file: FileEntry) -> None:
        """Begin to fetch a shard that will soon be asked for, unless that would take half of the cache."""
        self._remote()
        self._expected = {name: found for name, found in self._expected.items() if not found.fetched.done()}
        under_way = sum(found.bytes for found in self._expected.values())
        if (
            file.path not in self._expected
            and (not under_way or under_way + file.bytes <= self._max_bytes // 2)
            and not self._cached(file).exists()
        ):
            # What goes wrong here is met again, and raised, by who asks for the shard.
            self._expected[file.path] = _Expected(file.bytes, self._fetcher.submit(self._fetch_ahead, file))

    def _fetch_ahead(self, file: FileEntry) -> None:
        self.open(file).file.close()

    def _cached(self, file: FileEntry) -> Path:
        return self._folder / f"{file.sha256[:16]}-{file.path.replace('/', '--')}"

    def _remote(self) -> tuple[Any, str]:
        """The file system and the folder's path in it. A forked process needs its own."""
        if self._process != os.getpid():
            try:
                import fsspec  # noqa: PLC0415

                self._files, self._path = fsspec.core.url_to_fs(self.location)
            except ImportError as error:
                raise ShardError(
                    f"{self.location} needs a package that is not installed ({error}); "
                    "pip install 'winnow-corpus[s3]', or the fsspec package of that storage"
                ) from None
            self._fetcher = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="shards")
            self._expected = {}
            self._process = os.getpid()
        return self._files, self._path

    def _fetch(self, file: FileEntry, target: Path) -> BufferedReader:
        """Fetch a shard into the cache; returns it open."""
        draft = target.parent / f"{_DRAFT}{target.name}"  # the lock is held: nobody else writes it
        place = f"{self.location}/{file.path}"
        try:
            self._patiently(file.path, lambda files, path: files.get_file(path, str(draft)))
            with contextlib.ExitStack() as stack:
                fetched = stack.enter_context(draft.open("rb"))
                found = os.fstat(fetched.fileno()).st_size
                if found != file.bytes:
                    raise ShardError(
                        f"{place} has {found:,} bytes, but the manifest says {file.bytes:,}; {_COPY_AGAIN}"
                    )
                digest = hashlib.file_digest(fetched, "sha256").hexdigest()
                if digest != file.sha256:
                    raise ShardError(
                        f"{place} is altered: its sha256 is {digest}, the manifest says {file.sha256}; {_COPY_AGAIN}"
                    )
                draft.replace(target)
                fetched.seek(0)
                stack.pop_all()  # it stays open
                return fetched
        except FileNotFoundError:
            raise ShardError(f"{place} is missing, though the manifest lists it; {_COPY_AGAIN}") from None
        finally:
            draft.unlink(missing_ok=True)

    def _patiently(self, name: str, fetch: Callable[[Any, str], Any]) -> Any:
        """What ``fetch(file system, path)`` gives, tried again where the network or the storage fails.

        Raises:
            FileNotFoundError: there is no such file.
            ShardError: it failed each time, or access is refused.
        """
        files, path = self._remote()
        for attempt in range(ATTEMPTS):
            try:
                return fetch(files, f"{path}/{name}")
            except FileNotFoundError:
                raise
            except PermissionError as error:
                raise ShardError(f"{self.location}/{name}: access is refused ({_told(error)}); {_CHECK}") from None
            except Exception as error:  # noqa: BLE001 - every storage has errors of its own; told after the last attempt
                last = error
            if attempt + 1 < ATTEMPTS:
                time.sleep(FIRST_WAIT_SECONDS * 2**attempt)
        raise ShardError(
            f"{self.location}/{name} could not be fetched in {ATTEMPTS} attempts: {_told(last)}; {_CHECK}; "
            "what was fetched before stays"
        ) from None

    def _make_room(self, size: int) -> None:
        with self._locked(_ROOM):
            held = []
            for path in self._root.glob("*/*"):
                with contextlib.suppress(FileNotFoundError):
                    if path.parent.name != _LOCKS and not path.name.startswith(_DRAFT):
                        held.append((path.stat().st_mtime_ns, path.stat().st_size, path))
            total = size + sum(bytes_ for _, bytes_, _ in held)
            for _, bytes_, path in sorted(held):
                if total <= self._max_bytes:
                    break
                path.unlink(missing_ok=True)
                total -= bytes_

    def _locked(self, name: str) -> contextlib.AbstractContextManager[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        return file_lock(self._root / _LOCKS / (f"{self._folder.name}-{name}.lock" if name != _ROOM else _ROOM))


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
