"""A file being written, before its store publishes it."""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import xxhash

if TYPE_CHECKING:
    import pyarrow as pa

DigestName = Literal["xxh3_128", "sha256"]
DIGESTS: dict[DigestName, Callable[[], Any]] = {"xxh3_128": xxhash.xxh3_128, "sha256": hashlib.sha256}
PIECE_BYTES = 1 << 20


class Draft:
    """A file being written: counts and hashes what passes through.

    Attributes:
        bytes: number of bytes written so far.
    """

    def __init__(self, file: BinaryIO, digest: DigestName) -> None:
        self._file = file
        self._digest = DIGESTS[digest]()
        self._digest_name = digest
        self._adopted = ""
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

    def end(self) -> None:
        """All is written."""

    def adopt(self, found: str) -> None:
        """Stand for a file of the same size that another attempt has published: this is its digest, ``name:hex``."""
        self._adopted = found

    @property
    def hash(self) -> str:
        """``name:hex`` digest of all bytes written so far."""
        return self._adopted or f"{self._digest_name}:{self._digest.hexdigest()}"

    @property
    def content_bytes(self) -> int:
        """Bytes of the content, which is what is stored unless it is encrypted."""
        return self.bytes

    @property
    def content_hash(self) -> str:
        """``name:hex`` digest of the content."""
        return self.hash

    def arrow(self) -> "pa.NativeFile":
        """This draft as a sink for Arrow's writers."""
        import pyarrow as pa  # noqa: PLC0415 - `winnow status` does without

        return pa.PythonFile(self, mode="w")


def hash_of(file: BinaryIO, digest: DigestName = "xxh3_128") -> str:
    """``name:hex`` digest of what is left of an open file."""
    found = DIGESTS[digest]()
    while piece := file.read(PIECE_BYTES):
        found.update(piece)
    return f"{digest}:{found.hexdigest()}"
