"""Storage as stages see it: whole files that appear at once or not at all, and records created exactly once.

Paths are relative to the root, with ``/``, so that a run folder can be moved. The root is a folder of a disk
(:mod:`winnow.storage.local_store`) or an address in an object store (:mod:`winnow.storage.object_store`); what stages
may rely on is the same.
"""

import contextlib
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from winnow.storage.address import is_url
from winnow.storage.age import AgeReader
from winnow.storage.config import EncryptionConfig, StorageConfig
from winnow.storage.draft import PIECE_BYTES, DigestName, Draft, hash_of
from winnow.storage.encrypted_draft import EncryptedDraft
from winnow.storage.encrypted_names import is_encrypted
from winnow.storage.keys import Key, find_key

if TYPE_CHECKING:
    import pyarrow as pa

TEMPORARY_PREFIX = ".draft-"
T = TypeVar("T")


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
    def create(
        self, relative: str, digest: DigestName = "xxh3_128", *, once: bool = False
    ) -> contextlib.AbstractContextManager[Draft]:
        """Write a file that appears whole when the block ends, and not at all when it raises; encrypted where its name
        says so (:mod:`winnow.storage.encrypted_names`).

        Args:
            relative: the file.
            digest: that the draft has in the end.
            once: what is written is the same in content, not in bytes, whoever writes it: a file of this size that
                stands there already stays, and the draft has its hash.

        Raises:
            StorageError: the disk is full or the folder cannot be written. EncryptionError: there is no key.
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
    def compare_and_swap(self, relative: str, judged: bytes | None, data: bytes) -> bool:
        """Put ``data`` in place of a small file that holds ``judged``; False if somebody has changed it meanwhile.

        ``judged`` is None where there is none. ``data`` is nobody else's, and a file is never the same again.
        """

    def renew(self, relative: str, judged: bytes, data: bytes) -> None:
        """The same by who wrote ``judged``, in the moment after it was read: nothing is compared where that is dear."""
        self.replace(relative, data)

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
        with self.open_stored(relative) as file:
            return hash_of(file, digest)

    def read_stored(self, relative: str) -> bytes:
        """The whole file as it is stored."""
        with self.open_stored(relative) as file:
            return file.read()

    @abstractmethod
    def open_stored(self, relative: str) -> BinaryIO:
        """A file as it is stored, encrypted or not, for reading, seekable."""

    def open(self, relative: str) -> BinaryIO:
        """The file for reading, seekable; only the ranges that are read need to be fetched.

        Raises:
            EncryptionError: it is encrypted, and the key is not there or another one.
        """
        file = self.open_stored(relative)
        if not is_encrypted(relative):
            return file
        try:
            return cast(BinaryIO, AgeReader(file, relative, self.key()))
        except BaseException:
            file.close()
            raise

    def key(self) -> Key:
        """The key of what is encrypted here.

        Raises:
            EncryptionError: there is none, or it is another one than the settings name.
        """
        return find_key(self.storage.encryption or EncryptionConfig())

    def mapped(self, relative: str, version: str = "") -> "pa.NativeFile":
        """A file as Arrow reads it from memory: mapped, or decrypted. Arguments and errors as of :meth:`local`."""
        import pyarrow as pa  # noqa: PLC0415

        if is_encrypted(relative):
            return pa.BufferReader(self.read(relative))
        return pa.memory_map(str(self.local(relative, version)))

    def encryption(self) -> dict[str, Any]:
        """What Arrow's Parquet writer takes to encrypt one file.

        Raises:
            EncryptionError: there is no key.
        """
        from winnow.storage.parquet_keys import encryption_properties  # noqa: PLC0415

        return {"encryption_properties": encryption_properties(self.key())}

    def decryption(self, relative: str) -> dict[str, Any]:
        """What Arrow's Parquet reader takes beside a file: nothing, but where it is encrypted inside."""
        with self.open(relative) as file:
            if not has_encrypted_footer(file):
                return {}
        from winnow.storage.parquet_keys import decryption_properties  # noqa: PLC0415

        return {"decryption_properties": decryption_properties(self.key())}

    def _as_arrow(self, relative: str) -> Any:
        """A file as Arrow takes one that is no file of the disk."""
        import pyarrow as pa  # noqa: PLC0415

        return pa.PythonFile(self.open(relative), mode="r")

    def _decrypted(self, relative: str) -> Path:
        """An encrypted file's content as a file in the memory of this process, which ends with it."""
        name = (self.location(), relative)
        if name not in _in_memory:
            handle = os.memfd_create("decrypted")
            with self.open(relative) as file, open(handle, "wb", closefd=False) as memory:
                shutil.copyfileobj(file, memory, PIECE_BYTES)
            _in_memory[name] = handle
        return Path(f"/proc/{os.getpid()}/fd/{_in_memory[name]}")

    def _draft(self, file: BinaryIO, relative: str, digest: DigestName) -> Draft:
        if not is_encrypted(relative):
            return Draft(file, digest)
        return EncryptedDraft(file, digest, self.key())

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


_in_memory: dict[tuple[str, str], int] = {}
"""Descriptors of decrypted files by store and path: sets of hashes that stages map as a whole, few and for long."""


def has_encrypted_footer(file: BinaryIO) -> bool:
    """Whether an open Parquet file is encrypted by itself: its last bytes are then ``PARE``, else ``PAR1``."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 4))
    return file.read(4) == b"PARE"
