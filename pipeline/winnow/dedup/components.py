"""Connected components of the candidate edges: union-find over the documents that occur in an edge.

Edges are consumed chunk by chunk and not kept, so memory depends on the documents alone: 0 bytes an edge, and
a hash table of 16 bytes a slot that is one to two thirds full, 24 to 48 bytes a document. While the table
doubles, the old one and a map of 8 bytes a slot live beside the new one: 84 bytes a document for that moment.
The result takes 48 bytes a document while it is sorted, 16 after.

The smaller document always becomes the root, so a component is named by its smallest document and the result
depends on the set of edges alone. Where not even this fits, :mod:`winnow.dedup.stars` goes round by round. Source:
R. Tarjan and J. van Leeuwen, "Worst-case analysis of set union algorithms" (1984), path halving.

Legend: E edges, M documents that occur in an edge.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import inline_kernel, kernel
from winnow.numeric.radix import sort_pairs

# A table is uint64[slots, 2]; column 0 is the document, column 1 is 1 + the slot of its parent, or 0 in a
# free slot. Both lie in one cache line: the table is larger than every cache, and a line costs more than all
# the arithmetic.

_FIRST_SLOTS = 1 << 10


@inline_kernel
def mixed(doc: np.uint64) -> np.uint64:
    """A hash of ``doc``: document numbers are file << 32 | row, far from random (finaliser of D. Stafford, 13)."""
    h = (doc ^ (doc >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


@inline_kernel
def _find_slot(table: NDArray[np.uint64], doc: np.uint64) -> int:
    """The slot that holds ``doc``, or the free slot where it belongs. The slots are a power of two."""
    mask = np.uint64(len(table) - 1)
    slot = mixed(doc) & mask
    while table[np.int64(slot), 1] != 0 and table[np.int64(slot), 0] != doc:
        slot = (slot + np.uint64(1)) & mask
    return np.int64(slot)  # type: ignore[return-value]


@inline_kernel
def _find_root(table: NDArray[np.uint64], slot: int) -> int:
    """Slot of the root above ``slot``, halving the path on the way."""
    parent = np.int64(table[slot, 1]) - 1
    while parent != slot:
        table[slot, 1] = table[parent, 1]
        slot = np.int64(table[slot, 1]) - 1  # type: ignore[assignment]
        parent = np.int64(table[slot, 1]) - 1
    return slot


@kernel
def _join(table: NDArray[np.uint64], edges: NDArray[np.uint64], start: int, used: int) -> tuple[int, int]:
    """Join the ends of ``edges[start:]`` until the table is two thirds full.

    Returns the first edge not done and the number of slots in use.
    """
    limit = len(table) * 2 // 3 - 2
    for edge in range(start, len(edges)):
        if used > limit:
            return edge, used
        slot_a = _find_slot(table, edges[edge, 0])
        if table[slot_a, 1] == 0:
            table[slot_a, 0] = edges[edge, 0]
            table[slot_a, 1] = slot_a + 1
            used += 1
        slot_b = _find_slot(table, edges[edge, 1])
        if table[slot_b, 1] == 0:
            table[slot_b, 0] = edges[edge, 1]
            table[slot_b, 1] = slot_b + 1
            used += 1
        root_a = _find_root(table, slot_a)
        root_b = _find_root(table, slot_b)
        if root_a != root_b:
            if table[root_a, 0] < table[root_b, 0]:
                table[root_b, 1] = root_a + 1
            else:
                table[root_a, 1] = root_b + 1
    return len(edges), used


@kernel
def _double(table: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The same forest in a table of twice as many slots."""
    grown = np.zeros((2 * len(table), 2), np.uint64)
    moved = np.empty(len(table), np.int64)
    for slot in range(len(table)):
        if table[slot, 1] != 0:
            place = _find_slot(grown, table[slot, 0])
            grown[place, 0] = table[slot, 0]
            grown[place, 1] = place + 1  # marks the slot as taken while the others are placed
            moved[slot] = place
    for slot in range(len(table)):
        if table[slot, 1] != 0:
            grown[moved[slot], 1] = moved[np.int64(table[slot, 1]) - 1] + 1
    return grown


@kernel
def _list_components(table: NDArray[np.uint64], used: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    docs, components = np.empty(used, np.uint64), np.empty(used, np.uint64)
    count = 0
    for slot in range(len(table)):
        if table[slot, 1] != 0:
            docs[count] = table[slot, 0]
            components[count] = table[_find_root(table, slot), 0]
            count += 1
    return docs, components


def connected_components(
    edge_chunks: Iterable[NDArray[np.uint64]],
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Group the documents that edges join.

    Args:
        edge_chunks: arrays uint64[E, 2] of document pairs (``[edges]`` for a single one). Repeats, either
            direction and edges from a document to itself are allowed.

    Returns:
        docs uint64[M], sorted, every document that occurs in an edge; and component uint64[M], the smallest
        of the component each belongs to. Independent of the order and the cutting of the edges.
    """
    table = np.zeros((_FIRST_SLOTS, 2), np.uint64)
    used = 0
    for edges in edge_chunks:
        done, used = _join(table, edges, 0, used)
        while done < len(edges):
            table = _double(table)
            done, used = _join(table, edges, done, used)
    docs, components = _list_components(table, used)
    del table
    ordered: tuple[NDArray[np.uint64], NDArray[np.uint64]] = sort_pairs(docs, components, False)
    return ordered
