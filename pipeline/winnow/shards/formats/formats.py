"""Which shard formats there are, and what each can hold."""

from collections.abc import Iterable
from typing import Literal

from winnow.shards.formats import raw

FormatName = Literal["parquet", "raw", "mds", "litdata"]


FORMATS: tuple[FormatName, ...] = ("parquet", "raw", "mds", "litdata")


INDEXED: tuple[FormatName, ...] = ("mds", "litdata")
"""Formats with one index file a split, over all of its shards."""


COMPRESSIBLE: tuple[FormatName, ...] = ("parquet", "mds")


SUPPORTS_COLUMNS: tuple[FormatName, ...] = ("parquet", "mds")
"""Formats that hold any further column beside the ids."""


def unsupported_columns(file_format: FormatName, columns: Iterable[str]) -> list[str]:
    """Those of some columns (with one number a token) that a format has no place for."""
    known = (raw.LOSS_MASK,) if file_format == "raw" else ()
    return [] if file_format in SUPPORTS_COLUMNS else [name for name in columns if name not in known]
