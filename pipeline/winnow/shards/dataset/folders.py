"""Where the files of a shard set lie: a local folder, or a remote one behind a local cache."""

from pathlib import Path
from typing import Protocol


class FileEntry(Protocol):
    """A file as the manifest lists it."""

    @property
    def path(self) -> str:
        """Relative to the manifest."""

    @property
    def bytes(self) -> int:
        """Its size."""

    @property
    def sha256(self) -> str:
        """Of its contents, in hexadecimal."""


class Folder(Protocol):
    """Gives the files of a shard set."""

    location: str
    """As people write it, without a slash at the end."""

    def read(self, name: str) -> bytes:
        """A small file as a whole.

        Raises:
            FileNotFoundError: there is none.
        """

    def local_file(self, file: FileEntry) -> Path:
        """Where a file stands on this machine; it need not exist."""

    def expect(self, file: FileEntry) -> None:
        """A file that will soon be asked for: begin to fetch it, if there is anything to fetch."""


class LocalFolder:
    """A folder on a disk that this machine sees."""

    def __init__(self, location: str) -> None:
        path = Path(location)
        self.location = str(path.parent if path.name == "manifest.json" else path)

    def read(self, name: str) -> bytes:
        """A small file as a whole."""
        return (Path(self.location) / name).read_bytes()

    def local_file(self, file: FileEntry) -> Path:
        """Where the file stands."""
        return Path(self.location) / file.path

    def expect(self, file: FileEntry) -> None:
        """Nothing to fetch."""
