"""Object stores of a few lines that answer as s3fs does: in a folder of this machine, or in memory with any clock.

For tests of thousands of runs. What is between s3fs and a server is not in them: other tests have a server for that.
``tests/storage/test_small_objects.py`` compares their answers with those of s3fs.
"""

import itertools
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from winnow.storage import object_files


class State(NamedTuple):
    """Of one object."""

    bytes: int
    modified: float
    etag: str


class SmallObjects(ABC):
    """What s3fs does for Winnow, told in five small requests."""

    def install(self) -> None:
        """From now on, this process's addresses of any kind of store mean this one."""
        object_files.file_system = lambda _scheme, _config: self  # type: ignore[assignment]

    @abstractmethod
    def get(self, key: str) -> bytes: ...
    @abstractmethod
    def state(self, key: str) -> State: ...
    @abstractmethod
    def put(self, key: str, data: bytes, *, new: bool) -> None: ...
    @abstractmethod
    def delete(self, key: str) -> None: ...
    @abstractmethod
    def keys(self) -> Iterable[str]: ...

    def cat_file(self, url: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        data = self.get(_key(url))
        if start and start >= len(data):
            raise _Refused("InvalidRange", 416)
        return data[start:end]

    def pipe_file(self, url: str, data: bytes, mode: str = "overwrite") -> None:
        self.put(_key(url), data, new=mode == "create")

    def put_file(self, path: str, url: str, **_: Any) -> None:
        self.put(_key(url), Path(path).read_bytes(), new=False)

    def get_file(self, url: str, path: str) -> None:
        Path(path).write_bytes(self.get(_key(url)))

    def rm_file(self, url: str) -> None:
        self.delete(_key(url))

    def cp_file(self, url: str, target: str) -> None:
        self.put(_key(target), self.get(_key(url)), new=False)

    def info(self, url: str, **_: Any) -> dict[str, Any]:
        try:
            return self._told(_key(url))
        except FileNotFoundError:
            if self._below(_key(url).rstrip("/") + "/"):
                return {"name": _key(url), "size": 0, "type": "directory"}
            raise

    def find(self, url: str, prefix: str = "", **_: Any) -> dict[str, Any]:
        found = self._below(f"{_key(url).rstrip('/')}/{prefix}")
        if not found and not prefix and _key(url) in self.keys():
            found = [_key(url)]
        return {key: self._told(key) for key in found}

    def ls(self, url: str, **_: Any) -> list[dict[str, Any]]:
        folder = _key(url).rstrip("/") + "/"
        keys = self._below(folder)
        folders = {key[: key.index("/", len(folder))] for key in keys if "/" in key[len(folder) :]}
        found = [self._told(key) for key in keys if "/" not in key[len(folder) :]]
        found += [{"name": name, "size": 0, "type": "directory"} for name in sorted(folders)]
        return found or [self.info(url)]

    def invalidate_cache(self) -> None:  # noqa: B027 - there is none
        """Nothing: no listing is kept."""

    def _below(self, prefix: str) -> list[str]:
        return sorted(key for key in self.keys() if key.startswith(prefix))

    def _told(self, key: str) -> dict[str, Any]:
        state = self.state(key)
        changed = datetime.fromtimestamp(state.modified, UTC)
        return {"name": key, "size": state.bytes, "type": "file", "ETag": state.etag, "LastModified": changed}


class FolderObjects(SmallObjects):
    """Objects as files of one folder, named by their quoted keys: they outlive a process."""

    _drafts = itertools.count()

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        folder.mkdir(exist_ok=True)

    def _file(self, key: str) -> str:
        return f"{self._folder}/{quote(key, safe='')}"

    def get(self, key: str) -> bytes:
        return Path(self._file(key)).read_bytes()

    def state(self, key: str) -> State:
        found = os.stat(self._file(key))
        return State(found.st_size, found.st_mtime, f'"{found.st_mtime_ns:x}-{found.st_ino:x}"')

    def put(self, key: str, data: bytes, *, new: bool) -> None:
        draft = Path(f"{self._folder}/%draft-{os.getpid()}-{next(self._drafts)}")
        draft.write_bytes(data)
        try:
            (os.link if new else os.rename)(draft, self._file(key))
        finally:
            draft.unlink(missing_ok=True)

    def delete(self, key: str) -> None:
        Path(self._file(key)).unlink(missing_ok=True)

    def keys(self) -> Iterable[str]:
        return [unquote(name) for name in os.listdir(self._folder) if not name.startswith("%draft")]


class MemoryObjects(SmallObjects):
    """Objects of this process; ``clock`` is the store's."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._held: dict[str, tuple[bytes, float, int]] = {}
        self._versions = itertools.count()

    def _object(self, key: str) -> tuple[bytes, float, int]:
        if key not in self._held:
            raise FileNotFoundError(key)
        return self._held[key]

    def get(self, key: str) -> bytes:
        return self._object(key)[0]

    def state(self, key: str) -> State:
        data, modified, version = self._object(key)
        return State(len(data), modified, f'"{version}"')

    def put(self, key: str, data: bytes, *, new: bool) -> None:
        if new and key in self._held:
            raise FileExistsError(key)
        self._held[key] = (bytes(data), self._clock(), next(self._versions))

    def delete(self, key: str) -> None:
        self._held.pop(key, None)

    def keys(self) -> Iterable[str]:
        return self._held.keys()


class _Refused(OSError):
    """As botocore tells a server's refusal."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}


def _key(url: str) -> str:
    return url.partition("://")[2] or url
