"""All input formats. A new one is a file with a ``Reader`` and a line here, or an entry point of another package."""

import re
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from winnow.errors import ConfigError
from winnow.registry import Registry
from winnow.sources.stored_file import compression_of

READERS: Registry[Any] = Registry(  # of Reader, which knows the config of a source, which knows the names here
    what="input format",
    kind="winnow.sources.readers.reader:Reader",
    group="winnow.readers",
    built_in={
        "jsonl": "winnow.sources.readers.jsonl:READER",
        "parquet": "winnow.sources.readers.parquet:READER",
        "text": "winnow.sources.readers.plain_text:READER",
        "csv": "winnow.sources.readers.csv_table:READER",
        "warc": "winnow.sources.readers.warc:READER",
        "html": "winnow.sources.readers.html:READER",
        "tar": "winnow.sources.readers.tar:READER",
        "zip": "winnow.sources.readers.zip:READER",
        "wiki": "winnow.sources.readers.wiki:READER",
        "epub": "winnow.sources.readers.epub:READER",
    },
)


def is_cut_by_bytes(path: str, file_format: str) -> bool:
    """Whether parts of a file are ranges of its stored bytes: its reader's are, and the file is not compressed."""
    return bool(READERS.get(file_format).by_bytes) and not compression_of(path)


@cache
def formats_by_suffix() -> dict[str, str]:
    """Suffix -> format, all formats loaded.

    Raises:
        ConfigError: two formats have one suffix, or one cannot be loaded.
    """
    found: dict[str, str] = {}
    for reader in READERS.all():
        for suffix in reader.suffixes:
            if suffix in found:
                raise ConfigError(
                    f"suffix {suffix} belongs to input formats {found[suffix]!r} and {reader.name!r}; uninstall the "
                    "package that brings the second, or have it take another suffix"
                )
            found[suffix] = reader.name
    return found


def suffix_of(name: str) -> str:
    """What a file's name without its compression says of its format: its suffix, in lower case and without a part's
    number that a format lets stand behind it."""
    found = PurePosixPath(name).suffix.lower()
    for reader in () if found in formats_by_suffix() else READERS.all():
        for suffix in reader.suffixes if reader.numbered else ():
            if re.fullmatch(re.escape(suffix) + reader.numbered, found):
                return str(suffix)
    return found


def formats_with_fields() -> str:
    """Names of formats whose records have fields, for messages."""
    return " or ".join(reader.name for reader in READERS.all() if reader.has_fields)
