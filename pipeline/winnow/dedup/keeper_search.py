"""Search the keepers of one component for the best-ranked one that a document reaches the threshold with.

Three filters, none of which can miss a pair:

1. *Pieces.* Two signatures of P entries that agree in at least ``need`` differ in at most d = P - need; cut
   into d + 1 pieces, at least one piece is equal (pigeonhole). So an index from pieces to keepers finds every
   keeper that can match. It serves from `INDEX_FROM` keepers on. Where keepers resemble each other (pages of
   one template just under the threshold) most share a piece: a look-up that meets too many gives way to a
   scan, and a component in which that is the rule drops its index.
2. *Sketches.* The low byte of each entry: bytes that differ are entries that differ. P bytes a keeper are
   read instead of 4 P, 64 entries (a cache line) at a time, until too many differ.
3. The signatures themselves (then the shingle sets, of pairs that these do not decide).

A pair that reaches the threshold is then shown to the guard (`winnow.dedup.guard`), which may refuse it.

Memory a keeper: P bytes of sketch, and 8 to 24 (d + 1) bytes of index: 0.4 to 1.2 KB at 256
permutations and threshold 0.8.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.dedup.guard import Guard, refusal
from winnow.numeric.jit import inline_kernel, kernel

INDEX_FROM = 256
"""Keepers in a component from which the index is built; below, a scan over the sketches is as fast."""

_GIVE_UP_SHARE = 16  # a look-up is given up after meeting one sixteenth of the keepers: a scan costs about as much
_TRIALS = 1024  # look-ups after which a component whose look-ups are mostly given up drops its index

_MIX = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)

# An index is the tuple (heads, nexts, stamps, tally): heads int32[slots] the newest entry of each slot or -1;
# nexts int32[keepers it holds room for * pieces] the entry inserted before; entry = row * pieces + piece;
# stamps int64[keepers] the member that met the keeper last; tally = [indexed rows, look-ups, given up].
Index = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]


@kernel
def make_index() -> Index:
    """An empty index, which finds nothing until `insert_keeper` builds it."""
    return np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64), np.zeros(3, np.int64)


@kernel
def clear_index(index: Index) -> Index:
    """An empty index for the next component."""
    if len(index[0]) == 0 and index[3][1] == 0:
        return index
    return make_index()


@kernel
def write_sketch(signature: NDArray[np.uint32], sketch: NDArray[np.uint64]) -> None:
    """Store the low 8 bits of each entry of uint32[P] as bit planes, 64 entries (8 words) after another.

    Out: sketch uint64[8 * ceil(P / 64)]; word ``8 * run + bit`` holds that bit of 64 entries. Bits past the
        end are zero in every sketch.
    """
    for run in range(len(sketch) // 8):
        for bit in range(8):
            plane = np.uint64(0)
            for entry in range(run * 64, min(run * 64 + 64, len(signature))):
                plane |= ((np.uint64(signature[entry]) >> np.uint64(bit)) & np.uint64(1)) << np.uint64(entry & 63)
            sketch[run * 8 + bit] = plane


@inline_kernel
def _count_bits(x: np.uint64) -> int:
    """Set bits of a word, in the form that compilers turn into one instruction."""
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))  # type: ignore[return-value]


@kernel
def _next_possible(sketches: NDArray[np.uint64], own: int, row: int, end: int, allowed: int) -> int:
    """First row of ``row .. end - 1`` that differs from row ``own`` in at most ``allowed`` sketched entries,
    or ``end``.

    In: sketches uint64[rows, 8 * runs].
    """
    words = sketches.shape[1]
    while row < end:
        differing = 0
        run = 0
        while run < words and differing <= allowed:
            x = (
                (sketches[row, run] ^ sketches[own, run])
                | (sketches[row, run + 1] ^ sketches[own, run + 1])
                | (sketches[row, run + 2] ^ sketches[own, run + 2])
                | (sketches[row, run + 3] ^ sketches[own, run + 3])
                | (sketches[row, run + 4] ^ sketches[own, run + 4])
                | (sketches[row, run + 5] ^ sketches[own, run + 5])
                | (sketches[row, run + 6] ^ sketches[own, run + 6])
                | (sketches[row, run + 7] ^ sketches[own, run + 7])
            )
            differing += _count_bits(x)
            run += 8
        if differing <= allowed:
            return row
        row += 1
    return end


@kernel
def _agreeing(a: NDArray[np.uint32], b: NDArray[np.uint32]) -> int:
    count = 0
    for entry in range(len(a)):
        count += a[entry] == b[entry]
    return count


@kernel
def exact_similarity(shingles_a: NDArray[np.uint32], shingles_b: NDArray[np.uint32]) -> float:
    """Jaccard similarity of two sets of shingles, given sorted and without repeats; 0 if both are empty."""
    i, j, common = 0, 0, 0
    while i < len(shingles_a) and j < len(shingles_b):
        a, b = shingles_a[i], shingles_b[j]
        common += a == b
        i += a <= b
        j += b <= a
    union = len(shingles_a) + len(shingles_b) - common
    return common / union if union else 0.0


@kernel
def _verify(
    member: int,
    other: int,
    signatures: NDArray[np.uint32],
    need: int,
    accept_from: int,
    threshold: float,
    shingles: NDArray[np.uint32],
    shingle_bounds: NDArray[np.int64],
) -> float:
    """Verified similarity of two members, or -1 if it is below the threshold."""
    agreeing = _agreeing(signatures[member], signatures[other])
    if agreeing < need:
        return -1.0
    if agreeing >= accept_from:
        return float(agreeing / signatures.shape[1])
    share = exact_similarity(
        shingles[shingle_bounds[member, 0] : shingle_bounds[member, 1]],
        shingles[shingle_bounds[other, 0] : shingle_bounds[other, 1]],
    )
    return float(share) if share >= threshold else -1.0


@kernel
def _hash_piece(signature: NDArray[np.uint32], piece: int, pieces: int) -> np.uint64:
    h = np.uint64(piece + 1)
    for entry in range(piece * len(signature) // pieces, (piece + 1) * len(signature) // pieces):
        h = (h ^ np.uint64(signature[entry])) * _MIX
        h ^= h >> _HALF
    return h


@kernel
def insert_keeper(
    index: Index, num_keepers: int, keepers: NDArray[np.int64], signatures: NDArray[np.uint32], need: int
) -> Index:
    """Make the index hold the first ``num_keepers`` of ``keepers``; builds it at `INDEX_FROM`, doubles it
    when full.

    Returns the index to go on with, which may share arrays with the old one.
    """
    heads, nexts, stamps, tally = index
    if num_keepers < INDEX_FROM or tally[0] < 0:
        return index
    pieces = signatures.shape[1] - need + 1
    if num_keepers > len(stamps):
        room = 2 * num_keepers
        if room * pieces >= 2**31:  # tens of millions of keepers in one component: the entries do not fit
            tally[0] = -1
            return np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64), tally
        slots = 1
        while slots < room * pieces:
            slots *= 2
        heads = np.full(slots, -1, np.int32)
        nexts = np.empty(room * pieces, np.int32)
        stamps = np.full(room, -1, np.int64)
        tally[0] = 0
    for row in range(tally[0], num_keepers):
        for piece in range(pieces):
            slot = np.int64(_hash_piece(signatures[keepers[row]], piece, pieces) & np.uint64(len(heads) - 1))
            nexts[row * pieces + piece] = heads[slot]
            heads[slot] = row * pieces + piece
    tally[0] = num_keepers
    return heads, nexts, stamps, tally


@kernel
def find_keeper(
    member: int,
    rows: int,
    num_keepers: int,
    keepers: NDArray[np.int64],
    sketches: NDArray[np.uint64],
    signatures: NDArray[np.uint32],
    need: int,
    accept_from: int,
    threshold: float,
    shingles: NDArray[np.uint32],
    shingle_bounds: NDArray[np.int64],
    guard: Guard,
    index: Index,
) -> tuple[int, float, int, int, float, int, int, Index]:
    """The first of ``keepers[:rows]`` that ``member`` reaches the threshold with, and that the guard does not refuse.

    In: ``sketches[num_keepers]`` is the member's own sketch; ``need`` entries must agree, and ``accept_from`` are
        enough without the shingles.
    Out: row (-1 if none), similarity (0 if none) and runs of words lost; the first row that the guard refused (-1 if
        none before the one found), similarity, runs of words that would be lost, and why; the index to go on with.
    """
    allowed = signatures.shape[1] - need
    heads, nexts, stamps, tally = index
    best, best_share, best_lost = rows, 0.0, 0
    refused, refused_share, refused_lost, why = rows, 0.0, 0, 0
    complete = False
    if rows >= INDEX_FROM and tally[0] >= rows:
        pieces = allowed + 1
        patience = rows // _GIVE_UP_SHARE + 4 * pieces
        for piece in range(pieces):
            slot = np.int64(_hash_piece(signatures[member], piece, pieces) & np.uint64(len(heads) - 1))
            entry = heads[slot]
            while entry >= 0 and patience > 0:
                patience -= 1
                row = entry // pieces
                entry = nexts[entry]
                if row < best and stamps[row] != member:
                    stamps[row] = member
                    if _next_possible(sketches, num_keepers, row, row + 1, allowed) == row:
                        share = _verify(
                            member, keepers[row], signatures, need, accept_from, threshold, shingles, shingle_bounds
                        )
                        if share >= 0.0:
                            reason, lost = refusal(guard, member, keepers[row])
                            if reason == 0:
                                best, best_share, best_lost = row, share, lost
                            elif row < refused:
                                refused, refused_share, refused_lost, why = row, share, lost, reason
            if patience <= 0:
                break
        complete = patience > 0
        tally[1] += 1
        tally[2] += not complete
        if tally[1] == _TRIALS:
            if 2 * tally[2] > _TRIALS:
                heads, nexts, stamps = np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64)
                tally[0] = -1  # dropped for the rest of the component
            else:
                tally[1], tally[2] = 1, 0
    if not complete:
        row = _next_possible(sketches, num_keepers, 0, best, allowed)
        while row < best:
            share = _verify(member, keepers[row], signatures, need, accept_from, threshold, shingles, shingle_bounds)
            if share >= 0.0:
                reason, lost = refusal(guard, member, keepers[row])
                if reason == 0:
                    best, best_share, best_lost = row, share, lost
                    break
                if row < refused:
                    refused, refused_share, refused_lost, why = row, share, lost, reason
            row = _next_possible(sketches, num_keepers, row + 1, best, allowed)
    if refused >= best:  # which of the later ones were looked at depends on the order of the search
        refused, why = -1, 0
    if best == rows:
        best = -1
    return best, best_share, best_lost, refused, refused_share, refused_lost, why, (heads, nexts, stamps, tally)
