"""Guard: what a document that is to be removed must not lose. Jaccard similarity says that two texts look alike.

A near-duplicate goes for a keeper only if, besides the similarity, all of these hold (each may be switched off):

- *script*: both are in one script, or one has no letters;
- *language*: both are in one language, or one's is not sure;
- *shorter*: the keeper has at least as many characters, or nothing is lost (a full stop, a repeated line);
- *containment*: of the different runs of `CONTENT_WORDS` words of the one removed, at least so large a share stands
  in the keeper. What does not is lost;
- *template*: with `templates: keep`, the two are not pages of one template with other data. A run of words is *rare*
  where fewer than `TEMPLATE_TEXTS` texts of the component hold it; two documents have other data where each has rare
  runs that the other lacks, and under half of the rare runs of the one removed stand in its keeper.

Documents of equal text are not asked: nothing is lost. Nor are those of which the contents are not known (keepers
that an index took in while the guard was off): the caller counts them.

Legend: M members, G runs of words of all of them.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.dedup.guard_config import GuardConfig
from winnow.numeric.jit import kernel

CONTENT_WORDS = 3
"""Words in a run of words by which content is compared."""
TEMPLATE_TEXTS = 5
"""Texts of a component from which a run of words that all of them hold is the template's."""

REASONS = ("", "script", "language", "shorter", "containment", "template")
"""Why a pair is refused, by code; the first that applies. 0: it is not."""
UNKNOWN = -1
"""Runs of words lost where the contents of one of the two are not known."""

_SCRIPT, _LANGUAGE, _SHORTER, _CONTAINMENT, _TEMPLATE = range(1, 6)


class Guard(NamedTuple):
    """Contents of M members, and what is asked of them."""

    ngrams: NDArray[np.uint32]
    """uint32[G], sets of sorted distinct hashes of runs of words."""
    bounds: NDArray[np.int64]
    """int64[M, 2], where each member's set starts and ends."""
    rare: NDArray[np.bool_]
    """bool[G], whether few texts of the component hold it; empty unless templates are kept."""
    known: NDArray[np.bool_]
    """bool[M], whether the contents are known."""
    script: NDArray[np.uint8]
    """uint8[M], 0 for none."""
    language: NDArray[np.uint32]
    """uint32[M], 0 where it is not sure."""
    characters: NDArray[np.int64]
    """int64[M]."""
    asks_script: bool
    asks_language: bool
    asks_length: bool
    min_containment: float
    keeps_templates: bool

    def take(self, members: NDArray[np.int64]) -> "Guard":
        """Of some members; the sets stay where they are."""
        return self._replace(
            bounds=self.bounds[members],
            known=self.known[members],
            script=self.script[members],
            language=self.language[members],
            characters=self.characters[members],
        )

    def sizes(self) -> NDArray[np.int64]:
        """Different runs of words of each member: int64[M]."""
        return self.bounds[:, 1] - self.bounds[:, 0]


def make_guard(
    config: GuardConfig,
    ngrams: NDArray[np.uint32],
    bounds: NDArray[np.int64],
    known: NDArray[np.bool_],
    script: NDArray[np.uint8],
    language: NDArray[np.uint32],
    characters: NDArray[np.int64],
    component: NDArray[np.uint64],
) -> Guard:
    """The guard of some members; ``component`` uint64[M] is needed where templates are kept."""
    keeps = config.templates == "keep"
    return Guard(
        ngrams,
        bounds,
        rare_ngrams(ngrams, bounds, component) if keeps else np.empty(0, np.bool_),
        known,
        script,
        language,
        characters,
        config.script,
        config.language,
        config.keeper_not_shorter,
        config.min_containment,
        keeps,
    )


def no_guard(members: int) -> Guard:
    """Asks nothing and knows nothing."""
    nothing = np.zeros(members, np.uint8)
    return Guard(
        np.empty(0, np.uint32),
        np.zeros((members, 2), np.int64),
        np.empty(0, np.bool_),
        nothing.astype(np.bool_),
        nothing,
        nothing.astype(np.uint32),
        nothing.astype(np.int64),
        False,
        False,
        False,
        0.0,
        False,
    )


def rare_ngrams(
    ngrams: NDArray[np.uint32], bounds: NDArray[np.int64], component: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """Which runs of words fewer than `TEMPLATE_TEXTS` texts of their component hold: bool[G].

    Args:
        ngrams: uint32[G].
        bounds: int64[M, 2]; members that share one set are one text.
        component: uint64[M].
    """
    starts, first = np.unique(bounds[:, 0], return_index=True)
    texts = np.stack([starts, bounds[first, 1]], axis=1)
    texts, of = texts[texts[:, 1] > texts[:, 0]], component[first][texts[:, 1] > texts[:, 0]]
    sizes = texts[:, 1] - texts[:, 0]
    names = np.unique(of, return_inverse=True)[1].astype(np.uint64)
    places = np.arange(sizes.sum()) + np.repeat(texts[:, 0] - np.cumsum(sizes) + sizes, sizes)
    keys = np.repeat(names << np.uint64(32), sizes) | ngrams[places]
    order = np.argsort(keys, kind="stable")
    rare = np.zeros(len(ngrams), np.bool_)
    if len(order):
        keys = keys[order]
        begins = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        held = np.diff(np.append(begins, len(keys)))
        rare[places[order]] = np.repeat(held < TEMPLATE_TEXTS, held)
    return rare


@kernel
def lost_ngrams(ngrams: Any, removed_start: int, removed_end: int, start: int, end: int) -> int:
    """Of the runs of words ``ngrams[removed_start:removed_end]``, those that are not in ``ngrams[start:end]``; both
    sorted and without repeats."""
    lost = 0
    j = start
    for i in range(removed_start, removed_end):
        value = ngrams[i]
        while j < end and ngrams[j] < value:
            j += 1
        lost += j == end or ngrams[j] != value
    return lost


@kernel
def _rare_lost(guard: Any, member: int, other: int) -> tuple[int, int]:
    """Rare runs of words of a member, and those of them that the other does not hold."""
    ngrams, rare = guard.ngrams, guard.rare
    j, end = guard.bounds[other, 0], guard.bounds[other, 1]
    number, lost = 0, 0
    for i in range(guard.bounds[member, 0], guard.bounds[member, 1]):
        if rare[i]:
            value = ngrams[i]
            while j < end and ngrams[j] < value:
                j += 1
            number += 1
            lost += j == end or ngrams[j] != value
    return number, lost


@kernel
def _differ(one: Any, other: Any) -> bool:
    """Whether two codes are known and not the same."""
    return bool((one != 0) & (other != 0) & (one != other))


@kernel
def refusal(guard: Any, member: int, keeper: int) -> tuple[int, int]:
    """Why a member must not be removed for a keeper (code of `REASONS`), and how many runs of words would be lost."""
    if not (guard.known[member] and guard.known[keeper]):
        return 0, -1
    start, end = guard.bounds[member, 0], guard.bounds[member, 1]
    lost = lost_ngrams(guard.ngrams, start, end, guard.bounds[keeper, 0], guard.bounds[keeper, 1])
    if guard.asks_script and _differ(guard.script[member], guard.script[keeper]):
        return _SCRIPT, lost
    if guard.asks_language and _differ(guard.language[member], guard.language[keeper]):
        return _LANGUAGE, lost
    if guard.asks_length and lost > 0 and guard.characters[keeper] < guard.characters[member]:
        return _SHORTER, lost
    if end - start - lost < guard.min_containment * (end - start):
        return _CONTAINMENT, lost
    if guard.keeps_templates:
        own, own_lost = _rare_lost(guard, member, keeper)
        _, others = _rare_lost(guard, keeper, member)
        if own_lost > 0 and others > 0 and 2 * (own - own_lost) < own:
            return _TEMPLATE, lost
    return 0, lost
