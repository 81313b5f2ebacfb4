"""FineWeb's own rules: Penedo et al. 2024 (arXiv 2406.17557), section 3.6; details as datatrove has them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from winnow.section import Share
from winnow.text.rules.rule import Counts, Rule, RuleSet, Scope, ratio


def _repeated(counts: Counts, _config: Any) -> NDArray[np.float64]:
    below = counts["characters"] - counts["line_feeds"]
    result = np.full(len(below), np.nan)
    np.divide(counts["repeated_line_characters"], below, out=result, where=below > 0)
    return result


class FineWebConfig(RuleSet):
    """FineWeb's rules on lines. Each bound is the last value that is kept; none given switches the rule off."""

    min_terminal_line_ratio: Share | None = 0.12
    """Share of lines that end in terminal punctuation, of any script. Not for Thai and Lao, which have none."""
    max_short_line_ratio: Share | None = 0.67
    """Share of lines of at most 30 characters. Only for alphabets: others need fewer characters."""
    max_repeated_line_character_ratio: Share | None = 0.01
    """Share of characters (line feeds apart) in lines that occurred before."""
    max_line_feeds_per_word: float | None = Field(0.3, ge=0, le=100)
    """Line feeds a word or mark. Not for scripts written without spaces."""

    rules = (
        Rule("min_terminal_line_ratio", Scope.SENTENCE_MARKS, ratio("terminal_lines", "filled_lines")),
        Rule("max_short_line_ratio", Scope.ALPHABETIC, ratio("short_lines", "filled_lines")),
        Rule("max_repeated_line_character_ratio", Scope.ALL, _repeated),
        Rule("max_line_feeds_per_word", Scope.SPACED, ratio("line_feeds", "words", "mark_runs")),
    )
    """In the published order."""
