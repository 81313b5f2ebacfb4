"""Documents of earlier runs beside those of a run: their numbers, which band keys they share, and their split groups.

An index lists the documents of a run part by part. In part p (a number that no other part of the index ever has) the
kept documents have rows 0 to k - 1, in document order; after them come the ones that were removed as duplicates. Their
``doc`` is ``(2^31 + p) << 32 | row``: beyond the numbers of all input files, and rising from run to run. So they take
part in edges, components and the ledger like any document, and the top bit tells them apart.

Legend: N documents, K keys, M members of components.
"""

import numpy as np
from numpy.typing import NDArray

FIRST_PART = 1 << 31
"""Number, in the place of a file number, of part 0 of an index: files have smaller ones."""

MAX_PARTS = FIRST_PART - 1
"""One less than there is room for, so that no document is called `NO_DOC`."""

_TOP_BIT = np.uint64(1 << 63)
_SALT = 0x9E3779B97F4A7C15


def indexed_documents(part: int, rows: NDArray[np.unsignedinteger]) -> NDArray[np.uint64]:
    """``doc`` uint64[N] of rows [N] of one part of an index."""
    return np.uint64(first_document_of(part)) | rows.astype(np.uint64)


def first_document_of(part: int) -> int:
    """``doc`` of the first row of one part of an index; of the part behind the last, where documents end."""
    return (FIRST_PART + part) << 32


def is_indexed(docs: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which documents uint64[N] are of earlier runs: bool[N]."""
    return docs >= _TOP_BIT


def split_indexed_document(doc: int) -> tuple[int, int]:
    """The part of the index and the row in it that the ``doc`` of an earlier run's document is made of."""
    return (doc >> 32) - FIRST_PART, doc & 0xFFFF_FFFF


def first_of_each(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Positions at which a new key begins in sorted keys uint64[K]: int64[distinct]."""
    return np.flatnonzero(np.concatenate([np.ones(min(len(keys), 1), bool), keys[1:] != keys[:-1]]))


def meeting(wanted: NDArray[np.uint64], keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Positions in ``keys`` whose key is also in ``wanted``, rising: int64[found].

    Both uint64, sorted, distinct. The shorter list is looked up in the longer one, so a small run against a large
    index costs little more than reading it.
    """
    if len(wanted) == 0 or len(keys) == 0:
        return np.empty(0, np.int64)
    if len(wanted) < len(keys):
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found: NDArray[np.int64] = place[keys[place] == wanted]
        return found
    place = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
    return np.flatnonzero(wanted[place] == keys)


def own_groups(docs: NDArray[np.uint64], segment: int) -> NDArray[np.uint64]:
    """Split group uint64[N] of documents, or of components named by them, that are linked with no earlier run.

    The number itself in the first run of an index (and without one); in later runs it is moved by a constant for each,
    because every run counts its files from 0 and the same rows would go to the same split in every run.
    """
    return docs + np.uint64(segment * _SALT & 0xFFFF_FFFF_FFFF_FFFF)


def member_groups(
    docs: NDArray[np.uint64], component: NDArray[np.uint64], stored: NDArray[np.uint64], segment: int
) -> NDArray[np.uint64]:
    """Split group uint64[M] of every member of components: that of its earliest document of an earlier run, if any.

    Args:
        docs: uint64[M].
        component: uint64[M].
        stored: uint64[M], the group that the index holds for documents of earlier runs; of no meaning for others.
        segment: number of this run in the index.
    """
    groups = own_groups(component, segment)
    earlier = np.flatnonzero(is_indexed(docs))
    earlier = earlier[np.lexsort((docs[earlier], component[earlier]))]
    earlier = earlier[first_of_each(component[earlier])]
    if len(earlier):
        place = np.minimum(np.searchsorted(component[earlier], component), len(earlier) - 1)
        linked = component[earlier][place] == component
        groups[linked] = stored[earlier][place[linked]]
    return groups
