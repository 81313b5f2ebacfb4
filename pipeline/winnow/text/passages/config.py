"""The section `passages` of the config."""

from typing import Self

from pydantic import Field, model_validator

from winnow.section import Names, Section

MOST_ANCHOR_WORDS = 40
"""Of an anchor that follows from `words`: longer ones save little, and are more of a row to read again."""


class PassagesConfig(Section):
    """Passages that stand in the corpus before, word for word."""

    words: int = Field(50, ge=8, le=1000)
    """A run of so many words that stood earlier, in an earlier document or the same one, is cut where texts leave."""
    anchor_words: int | None = Field(None, ge=1, le=1000)
    """Words of an anchor; null: half of `words`, 40 at most. It changes what the search costs, never what it finds."""
    min_words: int = Field(20, ge=1, le=1_000_000)
    """A document of which fewer words are left by cuts is left out, with outcome repeated."""
    sources: Names | None = None
    """Names of the sources it is done in; none given: all but conversations and pairs."""
    max_marks_per_word: float | None = Field(0.8, gt=0)
    """Visible characters outside words, for each word: documents with more are taken for program text and markup,
    where repeats carry meaning, and take no part; null: all documents do."""

    @property
    def gram(self) -> int:
        """Words of an anchor."""
        return self.anchor_words or min(self.words // 2, MOST_ANCHOR_WORDS)

    @model_validator(mode="after")
    def _anchor_fits(self) -> Self:
        if self.gram > self.words:
            raise ValueError(f"anchor_words ({self.gram}) is more than words ({self.words}); leave it out")
        return self
