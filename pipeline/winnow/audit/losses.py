"""What removals lost: how many word 3-grams of each removed text its keeper lacks, and the worst ones to look at.

Figures are the ledger's (`measure_removed` computes those of its sample again from the texts). Marked in a text are the
words of every run of three that the other text does not hold: just what is counted, in time linear in the texts.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.audit.documents import NEAR, read_rows
from winnow.dedup.guard import CONTENT_WORDS
from winnow.dedup.shingles import shingle_hashes
from winnow.finished.earlier import is_earlier, read_earlier
from winnow.flow.guard import losses_of
from winnow.flow.records import RunRecords
from winnow.looking.texts import ids_of, text_by_document
from winnow.text.words import NO_STOP_WORDS, read_words

_CONTEXT = 60  # characters shown before and after what is marked

_Row = tuple[int, int, int, float, float]
"""Runs lost with a minus, document, keeper, similarity, containment."""

Kind = Literal["same", "lost", "cut"]
MarkedPiece = tuple[Kind, str]
"""A piece of a text: what both hold, what the other lacks, or a note of how much is not shown."""


@dataclass(frozen=True)
class Loss:
    """One removal, with both texts cut to what differs."""

    doc: int
    id: str
    keeper: int
    keeper_id: str
    similarity: float
    containment: float
    lost: int
    kept_text: tuple[MarkedPiece, ...] | None
    """None where the keeper is of an earlier run: its text is not here."""
    removed_text: tuple[MarkedPiece, ...]


@dataclass(frozen=True)
class Losses:
    """What near-duplicates of a run lost, and what the guard kept; zeros where no guard looked."""

    guarded: bool
    removed: int
    """Near-duplicates whose loss is known."""
    not_checked: int
    mean: float
    median: float
    ninth_decile: float
    most: int
    without_loss: int
    least_containment: float | None
    kept_by_guard: dict[str, int]
    other_keeper: int
    worst: tuple[Loss, ...]


def measure_losses(run: RunRecords, count: int, characters: int) -> Losses:
    """Losses of a finished run; the ``count`` worst with texts of up to about ``characters`` each."""
    told = losses_of(run)
    if told is None:
        return Losses(False, 0, 0, 0.0, 0.0, 0.0, 0, 0, None, {}, 0, ())
    lost, least = [np.empty(0, np.int64)], 1.0
    worst: list[_Row] = []
    for number in range(len(run.parts)):
        rows = read_rows(run, number)
        known = np.flatnonzero((rows.outcome == NEAR) & (rows.lost >= 0))
        lost.append(rows.lost[known])
        least = min(least, float(rows.containment[known].min(initial=1.0)))
        columns = (-rows.lost, rows.doc, rows.keeper, rows.similarity, rows.containment)
        here = known[np.lexsort((rows.doc[known], -rows.lost[known]))[:count]]
        worst += [row for row in zip(*(column[here].tolist() for column in columns), strict=True) if row[0]]
        worst = sorted(worst)[:count]
    every = np.concatenate(lost)
    some = len(every) > 0
    return Losses(
        True,
        len(every),
        told["not_checked"],
        float(every.mean()) if some else 0.0,
        float(np.median(every)) if some else 0.0,
        float(np.quantile(every, 0.9)) if some else 0.0,
        int(every.max(initial=0)),
        int((every == 0).sum()),
        least if some else None,
        {reason: number for reason, number in told["kept_by_guard"].items() if number},
        told["other_keeper"],
        _with_texts(run, worst, characters),
    )


def _with_texts(run: RunRecords, worst: list[_Row], characters: int) -> tuple[Loss, ...]:
    here = {doc for _, *pair, _, _ in worst for doc in pair if not is_earlier(doc)}
    texts, ids = text_by_document(run, here), ids_of(run, here)
    losses = []
    for negative, doc, keeper, similarity, containment in worst:
        kept, ngrams, keeper_id = None, None, str(keeper)
        if keeper in texts:
            ngrams, keeper_id = content_ngrams(texts[keeper]), ids[keeper]
            kept = marked(texts[keeper], content_ngrams(texts[doc]), characters)
        elif is_earlier(keeper) and (earlier := read_earlier(run, keeper)) is not None:
            ngrams, keeper_id = earlier.ngrams, f"{earlier.id} of {earlier.run}"
        removed = marked(texts[doc], ngrams, characters)
        losses.append(Loss(doc, ids[doc], keeper, keeper_id, similarity, containment, -negative, kept, removed))
    return tuple(losses)


def content_ngrams(text: str) -> NDArray[np.uint32]:
    """Different runs of three words of a text."""
    words = read_words(pa.array([text], pa.large_string()), NO_STOP_WORDS).words
    return np.unique(shingle_hashes(words.hashes, words.offsets, CONTENT_WORDS)[0])


def marked(text: str, others: NDArray[np.uint32] | None, characters: int) -> tuple[MarkedPiece, ...]:
    """A text cut to what another lacks, with some characters around, up to about ``characters`` of both.

    Args:
        text: to be shown.
        others: runs of three words of the other text; None if they are not known, and then nothing is marked.
        characters: shown at most, notes of what is cut apart.
    """
    encoded = text.encode(errors="surrogatepass")
    read = read_words(pa.array([text], pa.large_string()), NO_STOP_WORDS)
    hashes, _ = shingle_hashes(read.words.hashes, read.words.offsets, CONTENT_WORDS)
    missing = np.flatnonzero(~np.isin(hashes, others)) if others is not None else np.empty(0, np.int64)
    depth = np.zeros(len(read.lengths) + CONTENT_WORDS + 1, np.int64)
    np.add.at(depth, missing, 1)
    np.add.at(depth, missing + CONTENT_WORDS, -1)
    inside = np.cumsum(depth)[: len(read.lengths)] > 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    pieces: list[MarkedPiece] = []
    at = room = 0
    context = characters
    for first, end in edges.reshape(-1, 2).tolist():
        begin, stop = int(read.places[first, 0]), int(read.places[end - 1, 1])
        pieces += _between(encoded[at:begin].decode(), first=at == 0)
        lost = encoded[begin:stop].decode()
        shown = lost[: max(1, characters - room)]
        pieces.append(("lost", shown))
        at = begin + len(shown.encode())
        room += len(shown) + 2 * _CONTEXT
        context = _CONTEXT if len(shown) == len(lost) else 0  # what follows a piece cut short is lost as well
        if room >= characters:
            break
    rest = encoded[at:].decode()
    head = rest[:context]
    pieces += [("same", head)] if head else []
    if len(head) < len(rest):
        pieces.append(("cut", f"{len(rest) - len(head):,} characters"))
    return tuple(pieces)


def _between(text: str, *, first: bool) -> list[MarkedPiece]:
    """What stands between two marked pieces: both ends of it, if it is long."""
    if len(text) <= (1 if first else 2) * _CONTEXT + _CONTEXT:
        return [("same", text)] if text else []
    head = "" if first else text[:_CONTEXT]
    cut = ("cut", f"{len(text) - len(head) - _CONTEXT:,} characters")
    return [*([("same", head)] if head else []), cut, ("same", text[-_CONTEXT:])]  # type: ignore[list-item]
