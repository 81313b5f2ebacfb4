"""Precision, and the guarantee: was every removed document really like the kept document that stands in its stead?

Two questions about a sample of removed documents, which must not be confused:

- *The guarantee*: the keeper is kept, and the similarity that the run verifies (``dedup.verify``), computed again here,
  is the recorded one and reaches the threshold; and with a guard, what the document loses is what is recorded, and no
  more than the guard allows. One exception is a fault.
- *Precision*: the share of them whose true similarity reaches the threshold. Where signatures decide a pair
  (`verify: signature`, `verify: estimate`) the verified similarity is an estimate, so a few true ones lie below.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.audit.contents import Contents
from winnow.audit.documents import EXACT, KEPT, NEAR, Rows, dedup_of, rows_of, signatures_of
from winnow.audit.exact_search import Sets
from winnow.audit.intervals import Share, share_of
from winnow.dedup.index import is_indexed
from winnow.dedup.keeper_search import exact_similarity
from winnow.flow.records import RunRecords
from winnow.looking.texts import ids_of
from winnow.schemas import NO_DOC

_BELOW = (0.0, 0.05, 0.1, 0.2)  # how far below the threshold, at least
_SHOWN = 50
_RECORDED = 1e-6  # the ledger holds float32


@dataclass(frozen=True)
class Violation:
    """A removed document for which the guarantee does not hold."""

    id: str
    doc: int
    keeper: int
    problem: str


@dataclass(frozen=True)
class Removed:
    """What the sample of removed documents says."""

    documents: int
    near: Share
    """Near-duplicates whose keeper's true similarity reaches the threshold: precision where it is hard."""
    all: Share
    """The same for all removed documents, exact duplicates too."""
    below: tuple[tuple[float, int], ...]
    """Near-duplicates whose true similarity lies below the threshold by more than so much: (distance, documents)."""
    lowest: float | None
    """Lowest true similarity of a near-duplicate and its keeper."""
    kept_by_earlier_runs: int
    """Removed for a document of an earlier run; its text is not in this run folder, so only the ledger is looked at."""
    violations_count: int
    violations: tuple[Violation, ...]


def measure_removed(
    run: RunRecords,
    docs: NDArray[np.uint64],
    rows: Rows,
    known: NDArray[np.uint64],
    sets: Sets,
    contents: Contents | None,
) -> Removed:
    """Look at removed documents and their keepers.

    Args:
        run: a finished run.
        docs: uint64[D], rising, of removed documents.
        rows: their ledger rows.
        known: uint64[K], rising, documents whose sets are given: ``docs``, and their keepers as far as they exist.
        sets: shingles of ``known``.
        contents: what the documents of ``known`` say, as far as they were removed or are keepers; None without a guard.
    """
    config = dedup_of(run)
    earlier = is_indexed(rows.keeper) & (rows.keeper != NO_DOC) & (config.index is not None)
    keepers = np.unique(rows.keeper[~earlier])
    keeper_rows, exists = rows_of(run, keepers)
    at = np.searchsorted(keepers, np.where(earlier, 0, rows.keeper))
    at[earlier] = 0
    signatures, keeper_signatures = signatures_of(run, docs), signatures_of(run, keepers)

    problems: dict[int, str] = {}
    true_similarity = np.full(len(docs), np.nan)
    for n in range(len(docs)):
        keeper, recorded = at[n], float(rows.similarity[n])
        if earlier[n]:
            if not recorded >= config.threshold - _RECORDED:
                problems[n] = f"the ledger says similarity {recorded:.4f}, below the threshold {config.threshold:g}"
            continue
        if not exists[keeper]:
            problems[n] = "its keeper is no document of this run"
            continue
        if keeper_rows.outcome[keeper] != KEPT:
            problems[n] = "its keeper is not kept"
        equal_text = bool((signatures.hashes[n] == keeper_signatures.hashes[keeper]).all())
        places = np.searchsorted(known, [docs[n], keepers[keeper]])
        true_similarity[n] = 1.0 if equal_text else exact_similarity(*(sets.of(int(place)) for place in places))
        verified = 1.0
        if not equal_text:
            agreeing = (signatures.entries[n] == keeper_signatures.entries[keeper]).sum()
            verified = float(config.verification.similarity(agreeing, true_similarity[n]))
        if rows.outcome[n] == EXACT and not equal_text:
            problems[n] = "recorded as an exact duplicate, but the texts differ"
        elif verified < config.threshold:
            problems[n] = f"verified similarity {verified:.4f} is below the threshold {config.threshold:g}"
        elif not abs(verified - recorded) <= _RECORDED:
            problems[n] = f"the ledger says similarity {recorded:.4f}, computed again it is {verified:.4f}"
        elif contents is not None and not equal_text:
            told = int(rows.lost[n]), float(rows.containment[n])
            if problem := contents.problem(config, int(docs[n]), int(keepers[keeper]), *told):
                problems[n] = problem

    near = (rows.outcome == NEAR) & ~np.isnan(true_similarity)
    measured = ~np.isnan(true_similarity)
    alike = true_similarity >= config.threshold
    shown = sorted(problems)[:_SHOWN]
    ids = ids_of(run, {int(docs[n]) for n in shown})
    distances = config.threshold - true_similarity[near]
    return Removed(
        len(docs),
        share_of(int((alike & near).sum()), int(near.sum())),
        share_of(int((alike & measured).sum()), int(measured.sum())),
        tuple((distance, int((distances > distance).sum())) for distance in _BELOW),
        float(true_similarity[near].min()) if near.any() else None,
        int(earlier.sum()),
        len(problems),
        tuple(Violation(ids[int(docs[n])], int(docs[n]), int(rows.keeper[n]), problems[n]) for n in shown),
    )
