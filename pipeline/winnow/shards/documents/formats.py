"""Formats of clean text, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from winnow.registry import Registry

if TYPE_CHECKING:
    import pyarrow as pa

    from winnow.storage.draft import Draft


@dataclass(frozen=True, kw_only=True)
class TextFormat:
    """How documents become a file, and rows of a file come back."""

    suffix: str
    """Of file names, e.g. ``.parquet``; no other format has it."""
    write: Callable[["pa.Table", "Draft"], None]
    """Writes a whole table; equal tables give equal bytes."""
    packages: tuple[str, ...]
    """Distributions whose version may change the bytes."""
    write_encrypted: Callable[["pa.Table", "Draft", dict[str, Any]], None] | None = None
    """Writes one that is encrypted inside, by what :meth:`winnow.storage.store.Store.encryption` gives; None where the
    store encrypts whole files."""


TEXT_FORMATS: Registry[TextFormat] = Registry(
    what="text format",
    kind="winnow.shards.documents.formats:TextFormat",
    group="winnow.text_formats",
    built_in={
        "parquet": "winnow.shards.documents.parquet:FORMAT",
        "jsonl.zst": "winnow.shards.documents.jsonl:FORMAT",
    },
)
"""All formats of clean text. A new one is a file in this folder and its line here, or an entry point elsewhere."""
