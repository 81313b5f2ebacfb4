"""A shard set behind a URL: whole shards are fetched into a local folder of bounded size, once a machine.

Processes agree through file locks: one fetches a shard, the others wait for it. The shards used longest ago make room;
one that a process still has mapped keeps its disk space until that process lets it go.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pipeline.shards.dataset.errors import ShardError

DEFAULT_CACHE_MB = 20_000
"""Largest size of the cache, in MB: two windows of 16 shards of 256 MB, twice."""
_DRAFT = ".draft-"
_LOCKS = "locks"
_ROOM = "room"  # the lock of the whole cache


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
        user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        self._root = Path(cache) if cache else Path(user_cache) / "winnow-shards"
        self._max_bytes = (DEFAULT_CACHE_MB if cache_mb is None else cache_mb) * 1_000_000
        name = hashlib.blake2b(self.location.encode(), digest_size=8).hexdigest()
        self._folder = self._root / name
        self._expected: dict[str, Future[Path]] = {}
        self._process = 0
        self._remote()

    def read(self, name: str) -> bytes:
        """A small file as a whole, fetched anew."""
        files, path = self._remote()
        content: bytes = files.cat_file(f"{path}/{name}")
        return content

    def local_file(self, name: str, size: int) -> Path:
        """The shard in the cache, fetched if it is not there.

        Raises:
            ShardError: it is missing there, has another size, or does not fit into the cache.
        """
        if size > self._max_bytes:
            raise ShardError(
                f"{self.location}/{name} has {size:,} bytes, the cache {self._root} may hold {self._max_bytes:,}; "
                "raise cache_mb"
            )
        target = self._cached(name)
        with self._locked(target.name):
            if target.exists() and target.stat().st_size == size:
                os.utime(target)  # used now
                return target
            self._make_room(size)
            self._fetch(name, size, target)
        return target

    def expect(self, name: str, size: int) -> None:
        """Begin to fetch a shard that will soon be asked for."""
        self._remote()
        if name not in self._expected and not self._cached(name).exists():
            # What goes wrong here is met again, and raised, by who asks for the shard.
            self._expected[name] = self._fetcher.submit(self.local_file, name, size)

    def _cached(self, name: str) -> Path:
        return self._folder / name.replace("/", "--")

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
            self._fetcher = ThreadPoolExecutor(1, thread_name_prefix="shards")
            self._expected = {}
            self._process = os.getpid()
        return self._files, self._path

    def _fetch(self, name: str, size: int, target: Path) -> None:
        files, path = self._remote()
        draft = target.parent / f"{_DRAFT}{target.name}"  # the lock is held: nobody else writes it
        try:
            files.get_file(f"{path}/{name}", str(draft))
        except FileNotFoundError:
            raise ShardError(
                f"{self.location}/{name} is missing, though the manifest lists it; copy it again from where it was made"
            ) from None
        found = draft.stat().st_size
        if found != size:
            draft.unlink()
            raise ShardError(
                f"{self.location}/{name} has {found:,} bytes, but the manifest says {size:,}; "
                "copy it again from where it was made"
            )
        draft.replace(target)

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

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        folder = self._root / _LOCKS
        folder.mkdir(parents=True, exist_ok=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        with (folder / (f"{self._folder.name}-{name}.lock" if name != _ROOM else _ROOM)).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
