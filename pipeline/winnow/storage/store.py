"""Storage as stages see it: whole files that appear at once or not at all, and records created exactly once.

Paths are relative to the root, with ``/``, so that a run folder can be moved. The root is a folder of a disk
(:mod:`winnow.storage.local_store`) or an address in an object store (:mod:`winnow.storage.object_store`); what stages
may rely on is the same.
"""

import contextlib
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeVar, cast

import xxhash

from winnow.storage.address import is_url
from winnow.storage.config import StorageConfig

if TYPE_CHECKING:
    import pyarrow as pa

DigestName = Literal["xxh3_128", "sha256"]
DIGESTS: dict[DigestName, Callable[[], Any]] = {"xxh3_128": xxhash.xxh3_128, "sha256": hashlib.sha256}
TEMPORARY_PREFIX = ".draft-"
PIECE_BYTES = 1 << 20
T = TypeVar("T")


class Draft:
    """A file being written: counts and hashes what passes through.

    Attributes:
        bytes: number of bytes written so far.
    """

    def __init__(self, file: BinaryIO, digest: DigestName) -> None:
        self._file = file
        self._digest = DIGESTS[digest]()
        self._digest_name = digest
        self.bytes = 0
        self.closed = False

    def write(self, data: Any) -> int:
        """Append ``data`` (anything with the buffer protocol); returns the number of bytes."""
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self._file.write(view)
        self.bytes += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """Bytes written so far."""
        return self.bytes

    def flush(self) -> None:
        """Pass buffered bytes to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Nothing: the store closes the file when it publishes it."""

    def readable(self) -> bool:
        """A draft is only written."""
        return False

    def writable(self) -> bool:
        """A draft is only written."""
        return True

    def seekable(self) -> bool:
        """A draft is only appended to."""
        return False

    @property
    def hash(self) -> str:
        """``name:hex`` digest of all bytes written so far."""
        return f"{self._digest_name}:{self._digest.hexdigest()}"

    def arrow(self) -> "pa.NativeFile":
        """This draft as a sink for Arrow's writers."""
        import pyarrow as pa  # noqa: PLC0415 - `winnow status` does without

        return pa.PythonFile(self, mode="w")


class Store(ABC):
    """Files below one root. Made by :func:`winnow.storage.open_store.open_store`; travels between processes as it is.

    Where a method takes a path to read, a whole address (a URL, or a path from ``/``) may stand for it: what an index
    holds lies elsewhere.
    """

    is_remote = False
    """Whether each range that is read costs a request, so that few large ones are better than many small ones."""
    has_server_clock = False
    """Whether the storage notes times by a clock of its own, so that the nodes' clocks need not agree."""

    def __init__(self, root: str, storage: StorageConfig | None = None) -> None:
        self.root = root
        self.storage = storage or StorageConfig()

    @abstractmethod
    def location(self, relative: str = "") -> str:
        """Where a file of this store lies, as people write it."""

    @abstractmethod
    def create(self, relative: str, digest: DigestName = "xxh3_128") -> contextlib.AbstractContextManager[Draft]:
        """Write a file that appears whole when the block ends, and not at all when it raises.

        Raises:
            StorageError: the disk is full or the folder cannot be written.
        """

    @abstractmethod
    def create_exclusive(self, relative: str, data: bytes) -> bool:
        """Create a small file if nobody has: True for the one who did. Whole or absent at any moment."""

    def check_exclusive(self) -> None:  # noqa: B027 - a disk does, and so has nothing to look at
        """Look whether the storage creates files exclusively at all.

        Raises:
            StorageError: it does not, so that records and leases could be made twice.
        """

    @abstractmethod
    def compare_and_swap(self, relative: str, judged: bytes, data: bytes) -> bool:
        """Put ``data`` in place of a small file that holds ``judged``; False if somebody has changed it meanwhile."""

    def replace(self, relative: str, data: bytes) -> None:
        """Write a small file over whatever stands there, atomically."""
        with self.create(relative) as draft:
            draft.write(data)

    def write_unsynced(self, relative: str, data: bytes) -> None:
        """Write a small file that nobody misses when the machine fails: not synced."""
        self.replace(relative, data)

    @abstractmethod
    def link(self, existing: str, relative: str) -> bool:
        """Give a published file a second name, replacing what has it; False where the storage cannot."""

    @abstractmethod
    def same_file(self, one: str, other: str) -> bool:
        """Whether two names are links of one file, so that checking one checks both."""

    @abstractmethod
    def rename(self, existing: str, relative: str) -> None:
        """Give a small file another name."""

    @abstractmethod
    def read(self, relative: str) -> bytes:
        """The whole file.

        Raises:
            FileNotFoundError: there is none.
        """

    @abstractmethod
    def read_all(self, paths: list[str]) -> list[bytes | None]:
        """Many small files; None for one that is not there."""

    @abstractmethod
    def open(self, relative: str) -> BinaryIO:
        """The file for reading, seekable; only the ranges that are read need to be fetched."""

    def read_each(self, paths: Iterable[str], read: Callable[[BinaryIO], T]) -> Iterator[T]:
        """What ``read`` finds in each of these files, in their order; a far store is asked for several at a time."""
        for path in paths:
            with self.open(path) as file:
                yield read(file)

    def open_each(self, ranges: Iterable[tuple[str, int, int]]) -> Generator[BinaryIO]:
        """Each of these files in turn, for reading from its ``first`` byte to its ``end``, until the next is asked for.

        ``ranges`` are (path, first, end), none of them empty. A far store fetches these bytes and no others, in few
        large requests, and those of the next few files meanwhile.
        """
        for path, first, _ in ranges:
            with self.open(path) as file:
                file.seek(first)
                yield file

    @abstractmethod
    def columns_of(self, relative: str) -> Any:
        """The file as Arrow's Parquet reader takes it; only the columns that are read need to be fetched."""

    @abstractmethod
    def local(self, relative: str, version: str = "") -> Path:
        """A file of this machine with the content of a published file, to be mapped.

        Args:
            relative: the file.
            version: its hash, where a record tells it; else the storage is asked for one.

        Raises:
            FileNotFoundError: there is none. StorageError: it does not have the hash.
        """

    def open_input(self, path: str) -> BinaryIO:
        """An input file, wherever the user says it is, for reading, seekable."""
        if not is_url(path):
            return Path(path).open("rb")
        from winnow.storage.object_files import object_files  # noqa: PLC0415 - only object stores need it
        from winnow.storage.object_reader import ObjectReader  # noqa: PLC0415

        files = object_files(path, self.storage)
        files.begin(path)
        return cast(BinaryIO, ObjectReader(files, path))

    def hash(self, relative: str, digest: DigestName = "xxh3_128") -> str:
        """``name:hex`` digest of a stored file as :attr:`Draft.hash` gives it, read in pieces."""
        with self.open(relative) as file:
            return hash_of(file, digest)

    def drop_page_cache(self, relative: str, first: int = 0, size: int = 0) -> None:  # noqa: B027 - not all have such a cache
        """Take a file's pages (all of them, or ``size`` bytes from ``first``) out of the system's cache, if it has one.

        For what no later stage reads: its pages go to what is written next. On a virtual machine a page that was in
        use a moment ago costs a tenth of a fresh one. Nothing but speed depends on it; what is still mapped stays.
        """

    @abstractmethod
    def exists(self, relative: str) -> bool:
        """Whether a file stands there."""

    @abstractmethod
    def size(self, relative: str) -> int | None:
        """Bytes of a file; None where there is none."""

    @abstractmethod
    def missing(self, files: Iterable[tuple[str, int]]) -> set[str]:
        """Those of these files that are not there with this size."""

    @abstractmethod
    def modified(self, relative: str) -> float:
        """When a file was last written, in seconds since 1970 by the storage's clock.

        Raises:
            FileNotFoundError: there is none.
        """

    @abstractmethod
    def older_than(self, prefix: str, seconds: float) -> list[str]:
        """Names of files directly in the root that begin with ``prefix`` and were last written longer ago than that.

        By the storage's clock alone; for this, a small file is written and removed.
        """

    @abstractmethod
    def folders(self, folder: str) -> list[str]:
        """Names (sorted) of folders directly in ``folder``; empty where there is no such folder."""

    @abstractmethod
    def files_below(self, folder: str) -> list[str]:
        """Paths (sorted, relative to the root) of all files below ``folder``, drafts included."""

    @abstractmethod
    def remove(self, relative: str) -> None:
        """Remove a file; no error where there is none."""

    @abstractmethod
    def remove_empty_folders(self, folder: str) -> None:
        """Remove empty folders directly in ``folder``, where the storage has such a thing."""

    @abstractmethod
    def remove_drafts(self) -> int:
        """Remove what killed processes left behind; call only while holding the lease. Returns the count."""

    @abstractmethod
    def remove_drafts_here(self, prefix: str = TEMPORARY_PREFIX) -> None:
        """The same for the root alone (and names that begin with ``prefix``): what lies below has owners of its own."""

    @abstractmethod
    def list(self, folder: str, suffix: str = "") -> list[str]:
        """Names (sorted) of published files directly in ``folder``; empty where there is no such folder."""


def hash_of(file: BinaryIO, digest: DigestName = "xxh3_128") -> str:
    """``name:hex`` digest of what is left of an open file."""
    found = DIGESTS[digest]()
    while piece := file.read(PIECE_BYTES):
        found.update(piece)
    return f"{digest}:{found.hexdigest()}"
