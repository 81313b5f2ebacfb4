"""A member of an archive, and what a name says that it holds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

FILE, LINK, FOLDER, DEVICE = "file", "link", "folder", "device or pipe"
TEXT, HTML, JSON, RECORDS = "text", "html", "json", "records"

_READ = {
    **dict.fromkeys((".txt", ".text", ".md", ".markdown", ".rst", ".org", ".adoc", ".tex"), TEXT),
    **dict.fromkeys((".html", ".htm", ".xhtml"), HTML),
    ".json": JSON,
    **dict.fromkeys((".jsonl", ".ndjson"), RECORDS),
}
_PASSED = {
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".gif", ".webp", ".svg", ".tif", ".tiff", ".bmp", ".ico"), "image"),
    **dict.fromkeys((".mp3", ".wav", ".flac", ".ogg", ".m4a", ".opus"), "audio"),
    **dict.fromkeys((".mp4", ".webm", ".avi", ".mkv", ".mov"), "video"),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z", ".rar", ".jar"), "archive"),
    **dict.fromkeys((".gz", ".zst", ".bz2", ".xz", ".lz4"), "compressed file"),
    **dict.fromkeys((".csv", ".tsv", ".parquet", ".warc", ".wet"), "file of records"),
    **dict.fromkeys((".pdf", ".epub", ".doc", ".docx", ".odt", ".ps", ".djvu"), "document of another format"),
    **dict.fromkeys((".npy", ".npz", ".pt", ".pth", ".pkl", ".pickle", ".safetensors", ".cls"), "data"),
}
OTHER = "file of another kind"
HIDDEN = "hidden file"


@dataclass(frozen=True)
class Member:
    """One member, in the order of the archive."""

    name: str
    """As the archive has it: a label, and never a path that is opened."""
    kind: str
    """``FILE``, ``LINK`` ..."""
    size: int
    position: int | None
    """Of its header in the stored file; None where that is compressed."""
    pieces: Callable[[], Iterator[bytes]]
    """Its bytes; until the next member is asked for. Raises BadRecordError."""
    entry: int | None = None
    """Of a tar archive: where the headers that tell of it begin, in the text; reading may begin there."""
    fault: str = ""
    """Why it cannot be read, where that is known before."""
    has_lossy_name: bool = False
    """Whether U+FFFD stands for bytes of its name that are not UTF-8."""

    def read(self) -> bytes:
        """All of its bytes.

        Raises:
            BadRecordError: they are damaged.
        """
        return b"".join(self.pieces())


def kind_of(name: str) -> str:
    """``TEXT``, ``HTML``, ``JSON`` or ``RECORDS``; else what it is counted as."""
    path = PurePosixPath(name.replace("\\", "/"))  # zip files of Windows
    if path.name.startswith(".") or "__MACOSX" in path.parts:
        return HIDDEN
    suffix = path.suffix.lower()
    return _READ.get(suffix) or _PASSED.get(suffix, OTHER)


def stem_of(name: str) -> str:
    """What members of one sample share (WebDataset): the folder, and the name up to its first dot."""
    folder, slash, base = name.replace("\\", "/").rpartition("/")
    return folder + slash + base.partition(".")[0]
