"""How much text files probably hold, before any of it is read; plans rely on it, and no result."""

from winnow.sources.catalogue import InputFile
from winnow.sources.read import format_of
from winnow.sources.readers.registry import READERS
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import compression_of

COMPRESSED_RATIO = 4
"""Text grows about this much when decompressed; only plans and progress bars rely on it."""
SHARE_OF_LARGE = 128
"""A file that must be read to be cut is cut where it holds this part of all text or more (of the next power of two, so
that a corpus that grows a little is not read anew): 64 files as large as that keep 64 workers busy."""


def estimated_bytes(file: InputFile, kind: str) -> int:
    """Bytes of text that a file of that format probably holds."""
    return int(file.probable_bytes * (COMPRESSED_RATIO if compression_of(file.path) else READERS.get(kind).text_a_byte))


def estimated_text(files: list[InputFile], sources: dict[str, SourceConfig]) -> int:
    """Bytes of text that all files probably hold."""
    return sum(estimated_bytes(file, format_of(file.path, sources[file.source])) for file in files)
