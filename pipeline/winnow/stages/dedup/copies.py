"""Copies of one text among the members of components: held once in memory, decided once, and told apart at the end.

A text that occurs a million times lies in one component, so in one partition. Its signature is a kilobyte; the members
themselves take 50 bytes. So signatures are kept once a text while a partition is read, and keepers are chosen among the
best-ranked copy of each text (and all documents of earlier runs); the other copies follow it.

Legend: M members, T distinct texts, P permutations, S members that are compared.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.dedup.keepers import MemberDecisions
from winnow.engine.records import Json
from winnow.stages.dedup.candidate_sets import first_of_each_text
from winnow.stages.tables import partition_pieces
from winnow.storage.store import Store

_FIRST_LIMIT = 1 << 14
"""Signatures held before repeats among them are looked for."""


class _Signatures:
    """Signatures by text hash; once repeats are half of what is held, they are dropped."""

    def __init__(self) -> None:
        self._high: list[NDArray[np.uint64]] = []
        self._low: list[NDArray[np.uint64]] = []
        self._signed: list[NDArray[np.uint32]] = []
        self._held = 0
        self._limit = _FIRST_LIMIT

    def add(self, high: NDArray[np.uint64], low: NDArray[np.uint64], signatures: NDArray[np.uint32]) -> None:
        first = first_of_each_text(high, low)
        self._high.append(high[first])
        self._low.append(low[first])
        self._signed.append(signatures[first])
        self._held += len(first)
        if self._held > self._limit:
            self._drop_repeats()
            self._limit = max(self._held * 3 // 2, _FIRST_LIMIT)

    def _drop_repeats(self) -> None:
        high, low = np.concatenate(self._high), np.concatenate(self._low)
        first = first_of_each_text(high, low)
        if 2 * len(first) <= len(high):
            self._high, self._low = [high[first]], [low[first]]
            self._signed = [np.concatenate(self._signed)[first]]
            self._held = len(first)

    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
        """A row for each text, in order of the hashes: int64[T]; and all rows that are held, uint32[>= T, P]."""
        high, low = np.concatenate(self._high), np.concatenate(self._low)
        signatures = self._signed
        self._signed = []
        first = first_of_each_text(high, low)
        return first[np.lexsort((low[first], high[first]))], np.concatenate(signatures)


def read_members(
    store: Store, listing: Json, partition: int
) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64], NDArray[np.uint32]]:
    """One partition of the candidates exchange, from every map file, in unit order.

    Returns:
        columns [M] but for the signatures; int64[M], the row that holds the signature of each member's text; and those
        rows, uint32[>= T, P], about one a text.
    """
    pieces: list[dict[str, NDArray[Any]]] = []
    kept_once = _Signatures()
    for piece in partition_pieces(store, listing, partition):
        signatures = piece.pop("signature")
        kept_once.add(piece["exact_high"], piece["exact_low"], signatures)  # type: ignore[arg-type]
        pieces.append({name: values.copy() for name, values in piece.items()})  # so that the file's bytes can go
    columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    row_of_text, rows = kept_once.rows()
    return columns, row_of_text[number_texts(columns["exact_high"], columns["exact_low"])], rows


def number_texts(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Each member's text, numbered in order of the hashes: int64[M], from 0 to T - 1."""
    order = np.lexsort((low, high))
    new = np.zeros(len(order), np.int64)
    new[1:] = (high[order[1:]] != high[order[:-1]]) | (low[order[1:]] != low[order[:-1]])
    texts = np.empty(len(order), np.int64)
    texts[order] = np.cumsum(new)
    return texts


def compared(text: NDArray[np.int64], indexed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Members that are compared with others: all ``indexed`` ones and the first of the others of each text.

    Args:
        text: int64[M], a number for each text; members in ranked order.
        indexed: bool[M], documents of earlier runs.

    Returns:
        int64[S], rising.
    """
    own = np.flatnonzero(~indexed)
    _, first = np.unique(text[own], return_index=True)
    return np.sort(np.concatenate([np.flatnonzero(indexed), own[first]]))


def decisions_of_all(
    chosen: NDArray[np.int64], decisions: MemberDecisions, text: NDArray[np.int64], indexed: NDArray[np.bool_]
) -> MemberDecisions:
    """Decisions about all members from those of the ``chosen`` ones that :func:`compared` named.

    A copy goes for the first of its text where that stays, and else for the same keeper as the first.
    """
    position = np.full(len(text), -1)
    position[chosen] = np.arange(len(chosen))
    speaks = chosen[~indexed[chosen]]
    first = np.full(int(text.max(initial=-1)) + 1, -1)
    first[text[speaks]] = speaks
    copy = np.flatnonzero(position < 0)
    position[copy] = position[first[text[copy]]]
    keeper, refused = (
        np.where(rows >= 0, chosen[rows], -1)[position] for rows in (decisions.keeper, decisions.refused)
    )
    similarity, exact, lost, reason = (
        values[position] for values in (decisions.similarity, decisions.exact, decisions.lost, decisions.reason)
    )
    for_first = copy[keeper[copy] < 0]
    keeper[for_first] = first[text[for_first]]
    similarity[for_first] = 1.0
    exact[for_first] = True
    lost[for_first] = 0
    refused[for_first] = -1
    reason[for_first] = 0
    return MemberDecisions(keeper, similarity, exact, lost, refused, reason)
