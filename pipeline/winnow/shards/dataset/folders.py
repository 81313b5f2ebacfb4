"""Where the files of a shard set lie: a local folder, or a remote one behind a local cache."""

from io import BufferedReader
from pathlib import Path
from typing import NamedTuple, Protocol

AT_ONCE = 8
"""Files that are fetched at the same time: one connection to an object store gives 50 to 100 MB/s."""


class OpenedFile(NamedTuple):
    """A file of a shard set, open."""

    path: Path
    """Where it stands on this machine, for messages."""
    file: BufferedReader


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

    def open(self, file: FileEntry) -> OpenedFile:
        """A file for reading. It stays readable until it is closed, whatever becomes of its name.

        Raises:
            FileNotFoundError: there is none.
        """

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

    def open(self, file: FileEntry) -> OpenedFile:
        """The file for reading."""
        path = Path(self.location) / file.path
        return OpenedFile(path, path.open("rb"))

    def expect(self, file: FileEntry) -> None:
        """Nothing to fetch."""
