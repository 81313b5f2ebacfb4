"""Where the document pieces of rows come from: sources and their licences, by the numbers of documents.

A document's number begins with that of its file (32 bits), and the manifest says which files are whose. So rows need to
carry nothing but the column `docs`.

Legend: P document pieces.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.errors import ShardError
from winnow.shards.dataset.errors import WHAT_TO_DO
from winnow.shards.manifest_fields import SourceFields

DOCS = "docs"
"""The column of documents' numbers, one a piece."""
NO_PIECE = -1
"""Number of a source behind the last piece of a row."""


class RowSource(NamedTuple):
    """A source of rows."""

    name: str
    licence: str | None
    """As the config states it; None where it states none."""
    own_licences: bool
    """Whether its documents may state licences of their own, which go before this one."""


def row_sources(sets: Sequence[Sequence[SourceFields]]) -> tuple[RowSource, ...]:
    """The different sources of several shard sets, in their order."""
    return tuple(dict.fromkeys(RowSource(*source[:3]) for sources in sets for source in sources))


def source_numbers(
    docs: NDArray[np.uint64], sources: Sequence[SourceFields], known: Sequence[RowSource], path: object
) -> NDArray[np.int32]:
    """The source of each piece.

    Args:
        docs: uint64[P].
        sources: of the set.
        known: of all sets.
        path: of the shard, for messages.

    Returns:
        int32[P] into ``known``.

    Raises:
        ShardError: the manifest does not say whose a file is.
    """
    ranges = sorted((*ends, known.index(RowSource(*source[:3]))) for source in sources for ends in source.files)
    if not ranges and len(docs):
        raise ShardError(
            f"{path}: its manifest, of an older version, does not say which files are whose; run `winnow run` again"
        )
    first, last, number = np.array(ranges, np.int64).reshape(-1, 3).T
    files = (docs >> np.uint64(32)).astype(np.int64)
    at = np.maximum(np.searchsorted(first, files, side="right") - 1, 0)
    foreign = (files < first[at]) | (files > last[at]) if len(docs) else np.zeros(0, bool)
    if foreign.any():
        raise ShardError(f"{path} is altered: document {docs[foreign][0]} is of no file of its manifest; {WHAT_TO_DO}")
    found: NDArray[np.int32] = number[at].astype(np.int32) if len(docs) else np.zeros(0, np.int32)
    return found
