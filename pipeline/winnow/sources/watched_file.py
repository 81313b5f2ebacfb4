"""A stored file as libraries read it, with the system's errors kept apart from what the file holds."""

from typing import BinaryIO


class WatchedFile:
    """A file for a library; remembers the system's error, of which libraries pass on only the message."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        """As a file."""
        try:
            return self._file.read(size)
        except OSError as error:
            self.error = error
            raise

    def seek(self, offset: int, whence: int = 0) -> int:
        """As a file."""
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            self.error = error
            raise

    def tell(self) -> int:
        """As a file."""
        return self._file.tell()

    def readable(self) -> bool:
        """As a file."""
        return True

    def seekable(self) -> bool:
        """As a file."""
        return True
