"""Best-fit decreasing: whole documents and the tails of long ones share rows, so that few documents are cut.

Documents are taken longest first; each goes to the open row with the least room that still holds it. Rows are found
through a binary tree over amounts of room, so N documents take O(N log L).

Source: Ding and others, "Fewer Truncations Improve Language Modeling" (2024), arXiv 2404.10830.

Legend: N documents, P pieces, L tokens a row.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.shards.packing.config import LongDocuments
from winnow.shards.packing.pieces import Pieces, in_row_order


@kernel
def _best_fit(lengths, room_of_a_row, rows):  # type: ignore[no-untyped-def]
    """Row of each of falling lengths [N], into rows [N]; returns how many rows there are.

    Rows with the same room wait in a queue: the one that has had it longest is taken.
    """
    leaves = 1
    while leaves <= room_of_a_row:
        leaves *= 2
    some = np.zeros(2 * leaves, np.uint8)  # leaf r: a row has room r; above: any of the two below
    first = np.empty(room_of_a_row + 1, np.int64)
    last = np.empty(room_of_a_row + 1, np.int64)
    after = np.empty(len(lengths), np.int64)
    opened = 0
    for n in range(len(lengths)):
        node = leaves + lengths[n]
        if not some[node]:
            while node > 1 and (node & 1 or not some[node + 1]):
                node >>= 1
            if node > 1:
                node += 1
                while node < leaves:
                    node = 2 * node if some[2 * node] else 2 * node + 1
        if node > 1:
            room = node - leaves
            row = first[room]
            if row == last[room]:
                some[node] = 0
                while node > 1 and not some[node ^ 1]:
                    node >>= 1
                    some[node] = 0
            else:
                first[room] = after[row]
        else:
            row, room = opened, room_of_a_row
            opened += 1
        rows[n] = row
        room -= lengths[n]
        if room == 0:
            continue
        node = leaves + room
        if some[node]:
            after[last[room]] = row
        else:
            first[room] = row
            while node and not some[node]:
                some[node] = 1
                node >>= 1
        last[room] = row
    return opened


def pack_best_fit(tokens: NDArray[np.int64], row_tokens: int, long_documents: LongDocuments) -> Pieces:
    """Pieces of one group of documents; rows in no particular order.

    Args:
        tokens: int64[N], tokens of each document (at least 1), in the global order: among equal lengths the earlier
            document is placed first.
        row_tokens: L.
        long_documents: what happens to documents of more than L tokens.
    """
    full, tail = tokens // row_tokens, tokens % row_tokens
    if long_documents == "truncate":
        full, tail = np.minimum(full, 1), np.where(full > 0, 0, tail)
    elif long_documents == "drop":
        full, tail = np.where(tokens == row_tokens, 1, 0), np.where(full > 0, 0, tail)
    long = np.repeat(np.arange(len(tokens)), full)
    chunk = np.arange(len(long)) - np.repeat(np.cumsum(full) - full, full)
    packed = np.flatnonzero(tail)
    packed = packed[np.lexsort((packed, -tail[packed]))]
    rows = np.empty(len(packed), np.int64)
    shared: int = _best_fit(tail[packed], row_tokens, rows)
    return in_row_order(
        np.concatenate([long, packed]),
        np.concatenate([chunk * row_tokens, full[packed] * row_tokens]),
        np.concatenate([np.full(len(long), row_tokens), tail[packed]]),
        np.concatenate([shared + np.arange(len(long)), rows]),
        shared + len(long),
    )
