"""What removed documents and their keepers say, read again from the texts: was the guard right about them?"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.audit.exact_search import shingles_of
from winnow.dedup.config import DedupConfig
from winnow.dedup.guard import CONTENT_WORDS
from winnow.text.language.identifier import Identifier
from winnow.text.language.sure import sure_languages
from winnow.text.prose import prose_of
from winnow.text.scripts import dominant_scripts
from winnow.text.words import WordHashes

_RECORDED = 1e-6  # the ledger holds float32


class Content(NamedTuple):
    """Of one document."""

    ngrams: NDArray[np.uint32]
    script: int
    language: int
    characters: int


@dataclass
class Contents:
    """Of some documents, by number."""

    identify: Identifier
    """Names languages as the guard did."""
    known: dict[int, Content] = field(default_factory=dict)

    def add(self, docs: NDArray[np.uint64], texts: pa.Array, words: WordHashes) -> None:
        """Note what some texts say; ``words`` are theirs."""
        sets, prose = shingles_of(words, CONTENT_WORDS), prose_of(texts)
        scripts = dominant_scripts(texts, prose).tolist()
        languages = sure_languages(prose, self.identify).tolist()
        for n, (doc, text) in enumerate(zip(docs.tolist(), texts.to_pylist(), strict=True)):
            self.known[doc] = Content(sets.of(n).copy(), scripts[n], languages[n], len(text))

    def problem(self, config: DedupConfig, doc: int, keeper: int, lost: int, containment: float) -> str | None:
        """What is wrong with the removal of a document for a keeper of other text, of which the ledger says how many
        runs of words are lost and which share is not; None if nothing is.
        """
        guard = config.guard
        if guard is None or doc not in self.known or keeper not in self.known:
            return None
        one, other = self.known[doc], self.known[keeper]
        held = int(np.isin(one.ngrams, other.ngrams, assume_unique=True).sum())
        share = held / max(len(one.ngrams), 1)
        if len(one.ngrams) - held != lost:
            return f"the ledger says {lost:,} word 3-grams lost, counted again there are {len(one.ngrams) - held:,}"
        if not abs(share - containment) <= _RECORDED:
            return f"the ledger says containment {containment:.4f}, computed again it is {share:.4f}"
        if guard.script and one.script and other.script and one.script != other.script:
            return "its keeper is in another script"
        if guard.language and one.language and other.language and one.language != other.language:
            return "its keeper is in another language"
        if guard.keeper_not_shorter and lost and other.characters < one.characters:
            return f"its keeper has {other.characters:,} characters, it has {one.characters:,}"
        if held < guard.min_containment * len(one.ngrams):
            return f"its keeper holds {share:.4f} of its word 3-grams, min_containment is {guard.min_containment:g}"
        return None
