"""Storage as stages see it: whole files that appear at once or not at all, and records created exactly once.

Paths are relative to the root, with ``/``, so that a run folder can be moved. A draft is written under a temporary
name in the target's folder, synced, and renamed over the target: a reader never sees half a file.
"""

import contextlib
import errno
import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pyarrow as pa
import xxhash

from pipeline.engine.fault_hook import reached

DigestName = Literal["xxh3_128", "sha256"]
_DIGESTS: dict[DigestName, Callable[[], Any]] = {"xxh3_128": xxhash.xxh3_128, "sha256": hashlib.sha256}
TEMPORARY_PREFIX = ".draft-"


class StorageError(OSError):
    """Storage refused a write or read; the message names the path and what to do."""


class Draft:
    """A file being written: counts and hashes what passes through.

    Attributes:
        bytes: number of bytes written so far.
    """

    def __init__(self, file: BinaryIO, digest: DigestName) -> None:
        self._file = file
        self._digest = _DIGESTS[digest]()
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

    def arrow(self) -> pa.NativeFile:
        """This draft as a sink for Arrow's writers."""
        return pa.PythonFile(self, mode="w")


class Store:
    """A folder on a local or shared disk."""

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, relative: str) -> Path:
        """Where a file of this store lies."""
        return Path(self.root) / relative

    @contextlib.contextmanager
    def create(self, relative: str, digest: DigestName = "xxh3_128") -> Iterator[Draft]:
        """Write a file that appears whole when the block ends, and not at all when it raises.

        Raises:
            StorageError: the disk is full or the folder cannot be written.
        """
        target = self.path(relative)
        draft_path = target.parent / f"{TEMPORARY_PREFIX}{target.name}-{socket.gethostname()}-{os.getpid()}"
        with _explained(target):
            reached("open", path=relative)
            target.parent.mkdir(parents=True, exist_ok=True)
            file = draft_path.open("wb")
        try:
            with _explained(target):
                draft = Draft(file, digest)
                yield draft
                file.flush()
                os.fsync(file.fileno())
                file.close()
                reached("publish", path=relative)
                draft_path.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):  # the disk may be full; the first error is the one to report
                file.close()
            draft_path.unlink(missing_ok=True)
            raise

    def create_exclusive(self, relative: str, data: bytes) -> bool:
        """Create a small file if nobody has: True for the one who did. Whole or absent at any moment."""
        target = self.path(relative)
        draft_path = target.parent / f"{TEMPORARY_PREFIX}{target.name}-{socket.gethostname()}-{os.getpid()}"
        with _explained(target):
            reached("open", path=relative)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with draft_path.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.link(draft_path, target)
            except FileExistsError:
                return False
            finally:
                draft_path.unlink(missing_ok=True)
            self._sync_folder(target.parent)
        return True

    def replace(self, relative: str, data: bytes) -> None:
        """Write a small file over whatever stands there, atomically."""
        with self.create(relative) as draft:
            draft.write(data)

    def link(self, existing: str, relative: str) -> bool:
        """Give a published file a second name (a hard link, replacing what has it); False where the disk cannot."""
        target = self.path(relative)
        draft_path = target.parent / f"{TEMPORARY_PREFIX}{target.name}-{socket.gethostname()}-{os.getpid()}"
        try:
            os.link(self.path(existing), draft_path)
            draft_path.replace(target)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                raise
            return False
        finally:
            draft_path.unlink(missing_ok=True)  # renaming over another link of the same file leaves both
        return True

    def read(self, relative: str) -> bytes:
        """The whole file."""
        return self.path(relative).read_bytes()

    def open(self, relative: str) -> BinaryIO:
        """The file for reading, seekable."""
        return self.path(relative).open("rb")

    @staticmethod
    def open_input(path: str) -> BinaryIO:
        """An input file, wherever the user says it is, for reading, seekable."""
        return Path(path).open("rb")

    def hash(self, relative: str, digest: DigestName = "xxh3_128") -> str:
        """``name:hex`` digest of a stored file as :attr:`Draft.hash` gives it, read in pieces."""
        found = _DIGESTS[digest]()
        with self.open(relative) as file:
            while piece := file.read(1 << 20):
                found.update(piece)
        return f"{digest}:{found.hexdigest()}"

    def release(self, relative: str, first: int = 0, size: int = 0) -> None:
        """Take a file's pages (all of them, or ``size`` bytes from ``first``) out of the system's cache.

        For what no later stage reads: its pages go to what is written next. On a virtual machine a page that was in
        use a moment ago costs a tenth of a fresh one. Nothing but speed depends on it; what is still mapped stays.
        """
        if hasattr(os, "posix_fadvise"):
            with self.open(relative) as file:
                os.posix_fadvise(file.fileno(), first, size, os.POSIX_FADV_DONTNEED)

    def exists(self, relative: str) -> bool:
        """Whether a file stands there."""
        return self.path(relative).exists()

    def list(self, folder: str, suffix: str = "") -> list[str]:
        """Names (sorted) of published files directly in ``folder``; empty where there is no such folder."""
        try:
            names = [entry.name for entry in self.path(folder).iterdir()]
        except FileNotFoundError:
            return []
        return sorted(n for n in names if n.endswith(suffix) and not n.startswith(TEMPORARY_PREFIX))

    def remove(self, relative: str) -> None:
        """Remove a file; no error where there is none."""
        self.path(relative).unlink(missing_ok=True)

    def remove_drafts(self) -> int:
        """Remove what killed processes left behind; call only while holding the lease. Returns the count."""
        drafts = [p for p in Path(self.root).rglob(f"{TEMPORARY_PREFIX}*") if p.is_file()]
        for draft in drafts:
            draft.unlink(missing_ok=True)
        return len(drafts)

    def remove_drafts_here(self) -> None:
        """The same for this folder alone, where what lies below it has owners of its own."""
        for draft in Path(self.root).glob(f"{TEMPORARY_PREFIX}*"):
            draft.unlink(missing_ok=True)

    @staticmethod
    def _sync_folder(folder: Path) -> None:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _explained(target: Path) -> Iterator[None]:
    """Turn the disk's own errors into ones that say what to do."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        advice = {
            errno.ENOSPC: "free space or point `run` at a larger disk, then run the same command: it goes on",
            errno.EDQUOT: "raise the quota or point `run` elsewhere, then run the same command: it goes on",
            errno.EFBIG: "the file system or a limit forbids files of this size; lower `compute.unit_mb`",
            errno.EACCES: "make the folder writable for this user, or point `run` elsewhere",
            errno.EROFS: "the file system is read-only; point `run` elsewhere",
            errno.EEXIST: "a file stands where a folder is needed; point `run` elsewhere",
            errno.ENOENT: "its folder cannot be made there; point `run` elsewhere",
            errno.ENOTDIR: "a file stands where a folder is needed; point `run` elsewhere",
        }.get(error.errno or 0)
        if advice is None:
            raise
        raise StorageError(error.errno, f"cannot write {target}: {error.strerror}; {advice}") from error
