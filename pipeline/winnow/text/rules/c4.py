"""C4's rules: Raffel et al. 2020 (arXiv 1910.10683), section 2.2; details as datatrove has them.

C4 also removes lines from the texts that it keeps. The rules here judge documents by the lines that would remain; they
change no text.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from winnow.text.rules.rule import Counts, Rule, RuleSet, Scope


def _kept(name: str) -> Callable[[Counts, Any], NDArray[np.float64]]:
    return lambda counts, config: counts[f"c4_terminal_{name}" if config.require_terminal_punctuation else f"c4_{name}"]


class C4Config(RuleSet):
    """C4's rules on documents. Each bound is the last value that is kept; none given switches the rule off."""

    require_terminal_punctuation: bool = False
    """Whether only lines that end in terminal punctuation count. C4 as published does; FineWeb (arXiv 2406.17557,
    section 3.5) found that this alone removes 30 % of the tokens and leaves it off, as does this default."""
    min_sentences: int | None = Field(5, ge=0)
    """Sentences in the lines that C4 keeps. Not for Thai and Lao, which have no mark at the end of a sentence."""
    max_lorem_ipsum_lines: int | None = Field(0, ge=0)
    """Lines with `lorem ipsum`."""
    max_curly_bracket_lines: int | None = Field(0, ge=0)
    """Lines with `{`, mostly program text."""

    rules = (
        Rule("min_sentences", Scope.SENTENCE_MARKS, _kept("sentences")),
        Rule("max_lorem_ipsum_lines", Scope.ALL, _kept("lorem_ipsum_lines")),
        Rule("max_curly_bracket_lines", Scope.ALL, _kept("curly_bracket_lines")),
    )
    """In the published order."""
