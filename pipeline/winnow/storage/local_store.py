"""A run folder on a local or shared disk.

A draft is written under a temporary name in the target's folder, synced, and renamed over the target: a reader never
sees half a file.
"""

import contextlib
import errno
import os
import secrets
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from winnow.errors import StorageError
from winnow.fault_point import fault_point
from winnow.storage.address import check_lasting, is_url
from winnow.storage.draft import DigestName, Draft
from winnow.storage.encrypted_names import is_encrypted
from winnow.storage.store import TEMPORARY_PREFIX, Store


class LocalStore(Store):
    """A folder on a local or shared disk."""

    def path(self, relative: str) -> Path:
        """Where a file of this store lies."""
        return Path(self.root) / relative

    def location(self, relative: str = "") -> str:
        """Where a file of this store lies, as people write it."""
        return str(self.path(relative))

    @contextlib.contextmanager
    def create(self, relative: str, digest: DigestName = "xxh3_128", *, once: bool = False) -> Iterator[Draft]:
        """Write a file that appears whole when the block ends, and not at all when it raises.

        Raises:
            StorageError: the disk is full or the folder cannot be written.
        """
        target = self.path(relative)
        draft_path = _draft_of(target)
        with _explained(target):
            fault_point("open", path=relative)
            check_lasting(str(target))
            target.parent.mkdir(parents=True, exist_ok=True)
            file = draft_path.open("wb")
        try:
            with _explained(target):
                draft = self._draft(file, relative, digest)
                yield draft
                draft.end()
                file.flush()
                os.fsync(file.fileno())
                file.close()
                fault_point("publish", path=relative)
                if once and _is_there(target, draft.bytes, draft_path):
                    draft.adopt(self.hash(relative, digest))
                else:
                    _named(draft_path, target)
                draft_path.unlink(missing_ok=True)  # renaming over another link of the same file leaves both
        except BaseException:
            with contextlib.suppress(OSError):  # the disk may be full; the first error is the one to report
                file.close()
            draft_path.unlink(missing_ok=True)
            raise

    def create_exclusive(self, relative: str, data: bytes) -> bool:
        """Create a small file if nobody has: True for the one who did. Whole or absent at any moment."""
        target = self.path(relative)
        draft_path = _draft_of(target)
        with _explained(target):
            fault_point("open", path=relative)
            check_lasting(str(target))
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                while not _linked(draft_path, target, data):
                    pass  # the folder's owner has removed all drafts: this one is of somebody who asks whose it is
            except FileExistsError:
                return False
            finally:
                draft_path.unlink(missing_ok=True)
            _sync_folder(target.parent)
        return True

    def compare_and_swap(self, relative: str, judged: bytes | None, data: bytes) -> bool:
        """Rename a draft over the file, then remove all drafts of others, then look whether it is still one's own.

        A disk compares nothing. But who renames after that look has a draft of after that removal, and compares what it
        has judged with what stands there later still: it takes over from this one, not from whoever was there before.
        So the file is there all the time, and who dies or stands still at any of these calls is in nobody's way.
        """
        target = self.path(relative)
        drafts = f"{TEMPORARY_PREFIX}{target.name}."
        if judged is None:
            if not self.create_exclusive(relative, data):
                return False
        else:
            draft = target.with_name(f"{drafts}{secrets.token_hex(8)}")
            try:
                _write_synced(draft, data)
                if self.read_all([relative]) != [judged]:
                    return False
                draft.rename(target)
            except FileNotFoundError:  # somebody else owns the folder by now, and has removed it
                return False
            finally:
                draft.unlink(missing_ok=True)
            _sync_folder(target.parent)
        self.remove_drafts_here(drafts)
        return self.read_all([relative]) == [data]

    def renew(self, relative: str, judged: bytes, data: bytes) -> None:
        """Put ``data`` in place of ``judged``, and of nothing else."""
        self.compare_and_swap(relative, judged, data)

    def write_unsynced(self, relative: str, data: bytes) -> None:
        """Write a small file that nobody misses when the machine fails: not synced."""
        self.path(relative).write_bytes(data)

    def link(self, existing: str, relative: str) -> bool:
        """Give a published file a second name (a hard link, replacing what has it); False where the disk cannot."""
        target = self.path(relative)
        draft_path = _draft_of(target)
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

    def same_file(self, one: str, other: str) -> bool:
        """Whether two names are hard links of one file."""
        return self.path(one).samefile(self.path(other))

    def rename(self, existing: str, relative: str) -> None:
        """Give a file another name, at once."""
        self.path(existing).rename(self.path(relative))

    def read(self, relative: str) -> bytes:
        """The whole file."""
        if is_encrypted(relative):
            with self.open(relative) as file:
                return file.read()
        return self._elsewhere(relative).read(relative) if is_url(relative) else self.path(relative).read_bytes()

    def read_all(self, paths: list[str]) -> list[bytes | None]:
        """Many small files; None for one that is not there."""
        found: list[bytes | None] = []
        for path in paths:
            try:
                found.append(self.read(path))
            except FileNotFoundError:
                found.append(None)
        return found

    def open_stored(self, relative: str) -> BinaryIO:
        """The file for reading, seekable."""
        if is_url(relative):
            return self._elsewhere(relative).open_stored(relative)
        return open(os.path.join(self.root, relative), "rb")  # noqa: PTH118, PTH123 - a third of a Path's time

    def columns_of(self, relative: str) -> Any:
        """Its path: Arrow maps the file."""
        if is_encrypted(relative):
            return self._as_arrow(relative)
        return self._elsewhere(relative).columns_of(relative) if is_url(relative) else self.path(relative)

    def local(self, relative: str, version: str = "") -> Path:
        """The file itself."""
        if is_encrypted(relative):
            return self._decrypted(relative)
        return self._elsewhere(relative).local(relative, version) if is_url(relative) else self.path(relative)

    def _elsewhere(self, url: str) -> Store:
        from winnow.storage.object_store import ObjectStore  # noqa: PLC0415 - only object stores need it

        return ObjectStore(url, self.storage)

    def drop_page_cache(self, relative: str, first: int = 0, size: int = 0) -> None:
        """Take pages out of the page cache."""
        if hasattr(os, "posix_fadvise"):
            with self.open_stored(relative) as file:
                os.posix_fadvise(file.fileno(), first, size, os.POSIX_FADV_DONTNEED)

    def exists(self, relative: str) -> bool:
        """Whether a file stands there."""
        return self._elsewhere(relative).exists(relative) if is_url(relative) else self.path(relative).exists()

    def size(self, relative: str) -> int | None:
        """Bytes of a file; None where there is none."""
        try:
            return self.path(relative).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def missing(self, files: Iterable[tuple[str, int]]) -> set[str]:
        """Those of these files that are not there with this size."""
        return {path for path, size in files if self.size(path) != size}

    def modified(self, relative: str) -> float:
        """When a file was last written, by the disk's clock."""
        return self.path(relative).stat().st_mtime

    def older_than(self, prefix: str, seconds: float) -> list[str]:
        """Names of files in the root that begin with ``prefix`` and were last written longer ago than that."""
        clock = self.path(f"{TEMPORARY_PREFIX}clock-{socket.gethostname()}-{os.getpid()}")
        with clock.open("wb") as file:
            now = os.fstat(file.fileno()).st_mtime
        clock.unlink(missing_ok=True)
        found = []
        for path in Path(self.root).glob(f"{prefix}*"):
            with contextlib.suppress(FileNotFoundError):
                if now - path.stat().st_mtime > seconds:
                    found.append(path.name)
        return sorted(found)

    def folders(self, folder: str) -> list[str]:
        """Names (sorted) of folders directly in ``folder``; empty where there is no such folder."""
        there = self.path(folder)
        return sorted(path.name for path in there.iterdir() if path.is_dir()) if there.is_dir() else []

    def files_below(self, folder: str) -> list[str]:
        """Paths (sorted, relative to the root) of all files below ``folder``."""
        there = (path for path in self.path(folder).rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.root)) for path in there)

    def remove(self, relative: str) -> None:
        """Remove a file; no error where there is none."""
        self.path(relative).unlink(missing_ok=True)

    def remove_empty_folders(self, folder: str) -> None:
        """Remove empty folders directly in ``folder``."""
        for path in sorted(self.path(folder).glob("*")):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()

    def remove_drafts(self) -> int:
        """Remove what killed processes left behind; call only while holding the lease. Returns the count."""
        drafts = [p for p in Path(self.root).rglob(f"{TEMPORARY_PREFIX}*") if p.is_file()]
        for draft in drafts:
            draft.unlink(missing_ok=True)
        return len(drafts)

    def remove_drafts_here(self, prefix: str = TEMPORARY_PREFIX) -> None:
        """The same for this folder alone, where what lies below it has owners of its own."""
        for draft in Path(self.root).glob(f"{prefix}*"):
            draft.unlink(missing_ok=True)

    def list(self, folder: str, suffix: str = "") -> list[str]:
        """Names (sorted) of published files directly in ``folder``; empty where there is no such folder."""
        try:
            names = [entry.name for entry in self.path(folder).iterdir()]
        except FileNotFoundError:
            return []
        return sorted(n for n in names if n.endswith(suffix) and not n.startswith(TEMPORARY_PREFIX))


def _draft_of(target: Path) -> Path:
    return target.parent / f"{TEMPORARY_PREFIX}{target.name}-{socket.gethostname()}-{os.getpid()}"


def _is_there(target: Path, size: int, draft: Path) -> bool:
    """Whether another attempt has published a file of this size; where there is none, the draft is it from here on."""
    try:
        os.link(draft, target)
    except FileExistsError:
        return target.stat().st_size == size
    return False


def _named(draft: Path, target: Path) -> None:
    """Give a draft its name, whatever has it."""
    try:
        draft.replace(target)
    except FileNotFoundError:
        if not target.parent.is_dir():
            raise
        raise StorageError(
            errno.ENOENT,
            f"cannot write {target}: its draft is gone, as when another run takes the folder over and removes drafts",
        ) from None


def _linked(draft: Path, target: Path, data: bytes) -> bool:
    """Write a draft and give it its name, which nobody may have; False where somebody has removed the draft."""
    _write_synced(draft, data)
    try:
        os.link(draft, target)
    except FileNotFoundError:
        if draft.exists() or not target.parent.is_dir():
            raise
        return False
    return True


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


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
