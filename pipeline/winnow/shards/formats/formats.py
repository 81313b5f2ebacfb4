"""All shard formats. A new one is a file with a ``ShardFormat`` and a line here, or an entry point of another package.

The order is that of manifests: the first one written is the main one.
"""

from collections.abc import Callable, Iterable
from typing import Any

from winnow.errors import FormatError
from winnow.registry import Registry
from winnow.shards.formats.shard_format import RowShape, ShardFormat
from winnow.shards.packed_rows import LABEL

FORMATS: Registry[ShardFormat] = Registry(
    what="shard format",
    kind="winnow.shards.formats.shard_format:ShardFormat",
    group="winnow.formats",
    built_in={
        "parquet": "winnow.shards.parquet:FORMAT",
        "raw": "winnow.shards.formats.raw:FORMAT",
        "mds": "winnow.shards.formats.mds:FORMAT",
        "litdata": "winnow.shards.formats.litdata:FORMAT",
    },
)


def in_order(names: Iterable[str]) -> list[str]:
    """Names of formats in the order of the registry."""
    given = set(names)
    return [name for name in FORMATS if name in given]


def indexed(names: Iterable[str]) -> list[str]:
    """Those formats that have one index file a split, over all of its shards."""
    return [name for name in names if FORMATS.get(name).index is not None]


def formats_that(condition: Callable[[ShardFormat], Any]) -> str:
    """Names of the formats that meet a condition, for messages."""
    return " or ".join(known.name for known in FORMATS.all() if condition(known))


def formats_with_columns(columns: Iterable[str], *, labels: bool = False) -> str:
    """Names of the formats that have a place for some columns, for messages."""
    wanted = list(columns)
    return formats_that(lambda known: not known.unsupported_columns(wanted) and (known.labels or not labels))


def has_document_boundaries(file_format: str, shape: RowShape) -> bool:
    """Whether files of a format tell where documents begin; many do only where rows are one stream."""
    return FORMATS.get(file_format).has_document_boundaries or shape.document_separator is not None


def check_formats(formats: Iterable[str], rows: int, row_bytes: int, columns: Iterable[str] = ()) -> None:
    """Look at the largest shard before anything is computed.

    Args:
        formats: that are to be written.
        rows: of the largest shard.
        row_bytes: of a row, further columns included.
        columns: names of the further columns.

    Raises:
        FormatError: a format's files cannot be that large, or have no place for a column.
    """
    wanted = list(columns)
    for written in map(FORMATS.get, formats):
        if written.max_bytes is not None and written.file_bytes(rows, row_bytes) > written.max_bytes:
            raise FormatError(
                f"{written.name} cannot hold a shard of {rows * row_bytes / 1e6:,.0f} MB: its files end at "
                f"{written.max_bytes / 2**30:,.3g} GiB; set shards.shard_mb to {written.max_bytes // 10**9 * 1000} or "
                "less, or shards.shard_tokens to less"
            )
        lost = written.unsupported_columns(name for name in wanted if name not in ("docs", LABEL))
        if lost or (LABEL in wanted and not written.labels):
            raise FormatError(
                f"{written.name} shards have no place for {', '.join(lost) or LABEL}; write "
                f"{formats_with_columns(lost, labels=LABEL in wanted)}"
            )
