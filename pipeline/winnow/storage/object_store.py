"""A run folder in an object store: the same promises as on a disk, made of whole objects and conditional creation.

An object appears whole or not at all, so no temporary names are needed there: a draft waits in this node's memory, or
on its scratch disk once it is large, and is uploaded when it is complete. Tables are read by ranges; what must be
mapped is fetched into the node's cache, under a key that names its content.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import socket
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, cast

from winnow.errors import StorageError
from winnow.fault_point import fault_point
from winnow.storage.address import is_url, join
from winnow.storage.age import AgeReader
from winnow.storage.cache import FileCache
from winnow.storage.draft import DigestName, Draft, hash_of
from winnow.storage.encrypted_names import is_encrypted
from winnow.storage.object_files import AT_ONCE, ObjectFiles, object_files
from winnow.storage.object_reader import LARGEST_BLOCK_BYTES, ObjectReader
from winnow.storage.store import TEMPORARY_PREFIX, Store, T

IN_MEMORY_BYTES = 8_000_000
"""A draft up to this size never touches the scratch disk."""
WORTH_LISTING = 3
"""From this many files of one folder on, sizes are taken from a listing."""
AHEAD_BYTES = 4 * LARGEST_BLOCK_BYTES
"""Of ranges that are read one after the other, so much is fetched before it is asked for."""
PROBES = 3
"""How often the server is tried: the owner of a folder removes drafts, and so, now and then, somebody's probe."""
TAKING_SECONDS = 60.0
"""A take-over that has not ended by then has died."""


class ObjectStore(Store):
    """Objects below one address, such as ``s3://bucket/runs/web``."""

    is_remote = True
    has_server_clock = True

    def location(self, relative: str = "") -> str:
        """The object's URL."""
        return join(self.root, relative)

    @property
    def _files(self) -> ObjectFiles:
        """This process's client; made when it is first needed, so that a store can travel."""
        return object_files(self.root, self.storage)

    @contextlib.contextmanager
    def create(self, relative: str, digest: DigestName = "xxh3_128", *, once: bool = False) -> Iterator[Draft]:
        """Write an object that appears whole when the block ends, and not at all when it raises.

        Raises:
            OSError: the scratch disk is full. ObjectStorageError: the store refuses.
        """
        fault_point("open", path=relative)
        with self._scratch() as scratch:
            draft = self._draft(cast(BinaryIO, scratch), relative, digest)
            yield draft
            draft.end()
            fault_point("publish", path=relative)
            scratch.seek(0)
            once = once and self.size(relative) in (None, draft.bytes)  # one that was cut is written over
            try:
                if draft.bytes <= IN_MEMORY_BYTES:
                    self._files.write(self.location(relative), scratch.read(), once=once)
                else:
                    scratch.flush()
                    # by its number, because it has no name: nothing is left of it when this process is killed
                    self._files.upload(self.location(relative), f"/dev/fd/{scratch.fileno()}", draft.bytes, once=once)
            except FileExistsError:
                if not once:
                    raise
                draft.adopt(self.hash(relative, digest))

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Any]:
        folder = self.storage.scratch_folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, dir=str(folder), prefix="winnow-") as file:
                yield file
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS) or (
                error.filename is not None and not str(error.filename).startswith(str(folder))
            ):
                raise  # also what goes wrong with other files while a draft is written
            raise OSError(  # this node's own disk, so that others may be better off
                error.errno,
                f"cannot write to {folder}: {error.strerror}; free space there, or point `storage.scratch` at another "
                "folder of the node's own, then run the same command: it goes on",
            ) from error

    def create_exclusive(self, relative: str, data: bytes) -> bool:
        """Create a small object if nobody has: True for the one who did, told by the store itself."""
        fault_point("open", path=relative)
        return self._files.create(self.location(relative), data)

    def check_exclusive(self) -> None:
        """Create an object twice: the second time must be refused.

        Raises:
            StorageError: the server knows no conditional creation.
        """
        for _ in range(PROBES):
            probe = f"{TEMPORARY_PREFIX}probe-{secrets.token_hex(8)}"
            try:
                created = [self._files.create(self.location(probe), content) for content in (b"first", b"second")]
            finally:
                self.remove(probe)
            if created == [True, False]:
                return
        raise StorageError(
            f"{self.root}: this server writes over an object that is to be created only once (it ignores "
            "If-None-Match), so two runs could mix; use a server that knows conditional writes, or a shared disk"
        )

    def compare_and_swap(self, relative: str, judged: bytes | None, data: bytes) -> bool:
        """Remove the judged object and create one's own; an object beside it lets in one at a time."""
        if judged is None:
            return self.create_exclusive(relative, data)
        beside = f"{TEMPORARY_PREFIX}{relative}."
        for left in self.older_than(beside, TAKING_SECONDS):
            self.remove(left)
        taking = f"{beside}{hashlib.blake2b(judged, digest_size=8).hexdigest()}"
        began = time.monotonic()
        if not self.create_exclusive(taking, f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(8)}".encode()):
            return False
        try:
            if self.read_all([relative]) != [judged] or time.monotonic() - began > TAKING_SECONDS / 2:
                return False  # after too long a pause somebody else may be in by now
            self.remove(relative)
            return self.create_exclusive(relative, data)
        finally:
            self.remove(taking)

    def replace(self, relative: str, data: bytes) -> None:
        """Write a small object over whatever stands there, atomically."""
        if is_encrypted(relative):
            super().replace(relative, data)
            return
        fault_point("open", path=relative)
        fault_point("publish", path=relative)
        self._files.write(self.location(relative), data)

    def link(self, existing: str, relative: str) -> bool:
        """A copy, made inside the store."""
        self._files.copy(self.location(existing), self.location(relative))
        return True

    def same_file(self, one: str, other: str) -> bool:
        """Never: a copy may differ."""
        return one == other

    def rename(self, existing: str, relative: str) -> None:
        """Copy, then remove: both are there for a moment, and after a kill in between."""
        self._files.copy(self.location(existing), self.location(relative))
        self.remove(existing)

    def read(self, relative: str) -> bytes:
        """The whole object."""
        if is_encrypted(relative):
            with self.open(relative) as file:
                return file.read()
        if relative.startswith("/"):
            return Path(relative).read_bytes()
        return self._files.read(self.location(relative))

    def read_all(self, paths: list[str]) -> list[bytes | None]:
        """Many small objects, several at the same time."""
        return self._files.read_all([self.location(path) for path in paths])

    def open_stored(self, relative: str) -> BinaryIO:
        """The object for reading, range by range."""
        if relative.startswith("/"):
            return Path(relative).open("rb")
        return cast(BinaryIO, ObjectReader(self._files_of(relative), self.location(relative)))

    def read_each(self, paths: Iterable[str], read: Callable[[BinaryIO], T]) -> Iterator[T]:
        """What ``read`` finds in each of these objects, in their order: while one is used, the next few come."""

        def one(path: str) -> T:
            with self.open(path) as file:
                return read(file)

        ahead: deque[Future[T]] = deque()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="objects") as pool:
            try:
                for path in paths:
                    ahead.append(pool.submit(one, path))
                    if len(ahead) == AT_ONCE:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()

    def open_each(self, ranges: Iterable[tuple[str, int, int]]) -> Generator[BinaryIO]:
        """Each of these objects in turn, while the ranges of the next ones come."""
        rest = iter(ranges)
        ahead: deque[tuple[BinaryIO, int]] = deque()
        try:
            while True:
                while len(ahead) < AT_ONCE and sum(held for _, held in ahead) < AHEAD_BYTES:
                    wanted = next(rest, None)
                    if wanted is None:
                        break
                    path, first, end = wanted
                    file = self.open(path)
                    file.seek(first)
                    if isinstance(file, ObjectReader | AgeReader):
                        file.expect(end)
                    ahead.append((file, min(end - first, LARGEST_BLOCK_BYTES)))
                if not ahead:
                    return
                with ahead.popleft()[0] as file:
                    yield file
        finally:
            for file, _ in ahead:
                file.close()

    def _files_of(self, relative: str) -> ObjectFiles:
        return object_files(relative, self.storage) if is_url(relative) else self._files

    def columns_of(self, relative: str) -> Any:
        """The object, read by ranges."""
        return relative if relative.startswith("/") and not is_encrypted(relative) else self._as_arrow(relative)

    def local(self, relative: str, version: str = "") -> Path:
        """The object's file in the node's cache, fetched if it is not there, and compared with its hash."""
        if is_encrypted(relative):
            return self._decrypted(relative)
        if relative.startswith("/"):
            return Path(relative)
        url, files = self.location(relative), self._files_of(relative)
        size = None
        if not version:
            state = files.state(url)
            if state is None:
                raise FileNotFoundError(errno.ENOENT, "no such object", url)
            version, size = state.etag, state.bytes

        def fetch(path: Path) -> None:
            files.download(url, str(path))
            name = version.partition(":")[0]
            if name in ("xxh3_128", "sha256"):
                with path.open("rb") as file:
                    found = hash_of(file, cast(DigestName, name))
                if found != version:
                    raise StorageError(f"{url}: altered; its hash is {found}, its record says {version}")
            elif (now := files.state(url)) is None or now.etag != version:
                raise StorageError(f"{url}: written anew while it was read; run the same command again")

        cache = FileCache(self.storage.cache_folder, self.storage.cache_mb * 1_000_000)
        return cache.file(f"{url}\n{version}", size, fetch)

    def exists(self, relative: str) -> bool:
        """Whether an object stands there."""
        return Path(relative).exists() if relative.startswith("/") else self.size(relative) is not None

    def size(self, relative: str) -> int | None:
        """Bytes of an object; None where there is none."""
        state = self._files_of(relative).state(self.location(relative))
        return None if state is None else state.bytes

    def missing(self, files: Iterable[tuple[str, int]]) -> set[str]:
        """Those of these objects that are not there with this size; a folder with several of them is listed."""
        gone: set[str] = set()
        by_folder: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for path, size in files:
            by_folder[path.rpartition("/")[0]].append((path, size))
        for folder, wanted in by_folder.items():
            if len(wanted) < WORTH_LISTING:
                there = {path: self.size(path) for path, _ in wanted}
            else:
                listed, _ = self._files.directly_in(self.location(folder))
                sizes = {state.url: state.bytes for state in listed}
                there = {path: sizes.get(self.location(path)) for path, _ in wanted}
            gone |= {path for path, size in wanted if there[path] != size}
        return gone

    def modified(self, relative: str) -> float:
        """When an object was last written, by the store's clock."""
        state = self._files.state(self.location(relative))
        if state is None:
            raise FileNotFoundError(errno.ENOENT, "no such object", self.location(relative))
        return state.modified

    def older_than(self, prefix: str, seconds: float) -> list[str]:
        """Names of objects in the root that begin with ``prefix`` and were last written longer ago than that."""
        clock = f"{TEMPORARY_PREFIX}clock-{socket.gethostname()}-{os.getpid()}"
        while True:
            self._files.write(self.location(clock), str(time.time()).encode())
            with contextlib.suppress(FileNotFoundError):  # the folder's owner has removed all drafts
                now = self.modified(clock)
                break
        self.remove(clock)
        there, _ = self._files.directly_in(self.root)
        names = {state.url[len(self.location()) + 1 :]: state.modified for state in there}
        return sorted(n for n, modified in names.items() if n.startswith(prefix) and now - modified > seconds)

    def folders(self, folder: str) -> list[str]:
        """Names (sorted) of what has objects below it, directly in ``folder``."""
        return self._files.directly_in(self.location(folder))[1]

    def files_below(self, folder: str) -> list[str]:
        """Paths (sorted, relative to the root) of all objects below ``folder``."""
        there = (state.url for state in self._files.below(self.location(folder)))
        return [url[len(self.location()) + 1 :] for url in there if not url.endswith("/")]  # a console's "folder"

    def remove(self, relative: str) -> None:
        """Remove an object; no error where there is none."""
        self._files.remove(self.location(relative))

    def remove_empty_folders(self, folder: str) -> None:
        """Nothing: there are no folders apart from what lies in them."""

    def remove_drafts(self) -> int:
        """Remove notes of killed processes. There are no drafts: an upload that was not completed is no object.

        Parts of such uploads cost space until a lifecycle rule of the bucket clears them away.
        """
        self.remove_drafts_here()
        return 0

    def remove_drafts_here(self, prefix: str = TEMPORARY_PREFIX) -> None:
        """Remove objects directly in the root whose names begin with ``prefix``."""
        there, _ = self._files.directly_in(self.root)
        for state in there:
            if state.url[len(self.location()) + 1 :].startswith(prefix):
                self._files.remove(state.url)

    def list(self, folder: str, suffix: str = "") -> list[str]:
        """Names (sorted) of published objects directly in ``folder``."""
        there, _ = self._files.directly_in(self.location(folder))
        names = [state.url.rpartition("/")[2] for state in there]
        return sorted(n for n in names if n.endswith(suffix) and n and not n.startswith(TEMPORARY_PREFIX))
