"""A file as it lies on storage, read from front to back, and what its errors and first bytes say about it."""

import errno
from typing import BinaryIO

from winnow.errors import WebServerError
from winnow.sources.records import FileFaultError
from winnow.storage.address import without_query

COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz", ".lz4")
"""Suffixes of compressed files that can be read."""

_MAGICS = {
    "gzip": (b"\x1f\x8b",),
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))),
    "bzip2": tuple(b"BZh%d" % level + end for level in range(1, 10) for end in (b"1AY&", b"\x17rE8")),
    "xz": (b"\xfd7zXZ\0",),
    "lz4": (b"\x04\x22\x4d\x18",),
    "Parquet": (b"PAR1\x15",),
    "zip": (b"PK\x03\x04",),
    "UTF-16": (b"\xff\xfe", b"\xfe\xff"),
}
GIT_LFS = b"version https://git-lfs.github.com/spec/"
"""How a file begins that stands for one that was not fetched from a repository."""
_NAMES = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz", ".lz4": "lz4", "Parquet": "Parquet"}
_TRANSIENT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN, errno.ENOBUFS}


def compression_of(path: str) -> str:
    """The suffix that says how a file is compressed; empty for a plain file."""
    name = without_query(path).lower()
    return next((suffix for suffix in COMPRESSIONS if name.endswith(suffix)), "")


TRANSIENT_ERRORS = ("missing file", "no permission", "failed to read")
"""Kinds of fault that lie in the surroundings (a mount, rights, a disk): worth another look in the next run."""


def fault_of(error: OSError, position: int) -> FileFaultError:
    """What an error of the operating system says about the file.

    Raises:
        OSError: the error says nothing about the file (too many open files, a lost connection): the caller
        should
            try again rather than give the file up.
    """
    if isinstance(error, WebServerError):  # it was asked often enough
        return FileFaultError(f"failed to read: {error.said}", position)
    if error.errno in _TRANSIENT or isinstance(error, TimeoutError | ConnectionError):
        raise error
    kind = {errno.ENOENT: "missing file", errno.EACCES: "no permission", errno.EPERM: "no permission"}
    detail = error.strerror or str(error)
    return FileFaultError(f"{kind.get(error.errno or 0, 'failed to read')}: {detail}", position)


class StoredFile:
    """A file as stored, read from front to back; errors of the system become ``FileFaultError``.

    ``raw`` is the file itself, seekable, for libraries that read files: what they read does not move ``position``.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.raw = file
        self.size = size
        self.position = 0
        self.ended = False

    def read(self, limit: int) -> bytes:
        """At most ``limit`` bytes; empty at the end of the file."""
        try:
            data = self.raw.read(limit)
        except OSError as error:
            raise fault_of(error, self.position) from error
        self.position += len(data)
        self.ended = not data
        return data

    def seek(self, position: int) -> None:
        """Continue reading at ``position``."""
        try:
            self.raw.seek(position)
        except OSError as error:
            raise fault_of(error, self.position) from error
        self.position = position

    def check_kind(self, expected: str, *, wide: bool = False) -> None:
        """Compare the first bytes with what the name says; reading starts at the front afterwards.

        Args:
            expected: a compression suffix, ``Parquet``, or empty for plain text.
            wide: whether UTF-16 and UTF-32 are plain text, too.

        Raises:
            FileFaultError: they are those of another kind of file.
        """
        head = self.read(len(GIT_LFS))
        self.seek(0)
        if head == GIT_LFS:
            raise FileFaultError(
                "wrong format: a Git LFS pointer, not the file itself; fetch it with `git lfs pull`", 0
            )
        name = _NAMES.get(expected)
        if not head and self.size > 0:
            raise FileFaultError(f"shorter file: 0 bytes, {self.size} when it was catalogued", 0)
        if name is not None and not head:
            raise FileFaultError(f"truncated file: empty, which is not a {name} file", 0)
        found = next((kind for kind, magics in _MAGICS.items() if head.startswith(magics)), None)
        if found == "UTF-16" and not name:
            if not wide:
                raise FileFaultError("wrong format: the file begins like UTF-16; set `encoding: utf-16` or `detect`", 0)
        elif found != name:
            says = f"{name} data" if name else "plain text"
            holds = f"begins like {found} data" if found else f"does not begin like {name} data"
            raise FileFaultError(f"wrong format: the name says {says}, but the file {holds}; rename or convert it", 0)

    def check_size(self) -> None:
        """Compare the end of the file with the catalogue.

        Raises:
            FileFaultError: the file is shorter than it was.
        """
        if self.position < self.size:
            raise FileFaultError(
                f"shorter file: ends at byte {self.position}, had {self.size} bytes when it was catalogued",
                self.position,
            )
