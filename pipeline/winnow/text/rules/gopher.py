"""Gopher's rules: Rae et al. 2021 (arXiv 2112.11446), section A.1.1 and table A1; details as datatrove has them.

Where a rule is a share of "words", published code counts punctuation marks as words; Winnow's words hold none, so those
rules divide by words + marks, and n-grams are of words and marks (``signals/tokens.py``). On 144 documents judged by
datatrove that sum equals spaCy's count of tokens on all but a few (see tests/oracles/test_filters.py).
"""

from pydantic import Field

from winnow.section import Share
from winnow.text.rules.rule import Rule, RuleSet, Scope, count, ratio


class GopherQualityConfig(RuleSet):
    """Gopher's quality rules. Each bound is the last value that is kept; none given switches the rule off."""

    min_words: int | None = Field(50, ge=0)
    """Words."""
    max_words: int | None = Field(100_000, ge=0)
    """Words."""
    min_mean_word_length: float | None = Field(3.0, ge=0, le=1000)
    """Code points a word. Not for scripts without spaces, nor for those written in syllables."""
    max_mean_word_length: float | None = Field(10.0, ge=0, le=1000)
    """Code points a word. Not for scripts without spaces."""
    max_hash_ratio: Share | None = 0.1
    """Hash signs a word or mark."""
    max_ellipsis_ratio: Share | None = 0.1
    """Ellipses a word or mark."""
    max_bullet_line_ratio: Share | None = 0.9
    """Share of lines that begin with a bullet or hyphen."""
    max_ellipsis_line_ratio: Share | None = 0.3
    """Share of lines that end with an ellipsis."""
    min_words_with_letter_ratio: Share | None = 0.8
    """Words with a letter, of all words and marks."""
    min_stop_words: int | None = Field(2, ge=0, le=8)
    """Different stop words of the document's language, of the eight in its list. Only for languages with a list
    (`stop_words.py`)."""

    rules = (
        Rule("min_words", Scope.ALL, count("words")),
        Rule("max_words", Scope.ALL, count("words")),
        Rule("min_mean_word_length", Scope.ALPHABETIC, ratio("word_characters", "words")),
        Rule("max_mean_word_length", Scope.SPACED, ratio("word_characters", "words")),
        Rule("max_hash_ratio", Scope.ALL, ratio("hash_signs", "words", "mark_runs")),
        Rule("max_ellipsis_ratio", Scope.ALL, ratio("ellipses", "words", "mark_runs")),
        Rule("max_bullet_line_ratio", Scope.ALL, ratio("bullet_lines", "printed_lines")),
        Rule("max_ellipsis_line_ratio", Scope.ALL, ratio("ellipsis_lines", "printed_lines")),
        Rule("min_words_with_letter_ratio", Scope.ALL, ratio("words_with_letter", "words", "mark_runs")),
        Rule("min_stop_words", Scope.STOP_WORDS, count("stop_words")),
    )
    """In the published order. `stop_words` is the count of the document's language (rules.py picks it)."""


class GopherRepetitionConfig(RuleSet):
    """Gopher's repetition rules. Each bound is the last value that is kept; none given switches the rule off."""

    max_duplicate_paragraph_ratio: Share | None = 0.3
    """Share of paragraphs that occurred before."""
    max_duplicate_paragraph_character_ratio: Share | None = 0.2
    """Share of characters in such paragraphs."""
    max_duplicate_line_ratio: Share | None = 0.3
    """Share of lines that occurred before."""
    max_duplicate_line_character_ratio: Share | None = 0.2
    """Share of characters in such lines."""
    max_top_2_gram_ratio: Share | None = 0.20
    """Share of characters in the most frequent 2 words or marks in a row."""
    max_top_3_gram_ratio: Share | None = 0.18
    """Share of characters in the most frequent 3 words or marks in a row."""
    max_top_4_gram_ratio: Share | None = 0.16
    """Share of characters in the most frequent 4 words or marks in a row."""
    max_duplicate_5_gram_ratio: Share | None = 0.15
    """Share of characters in 5 words or marks in a row that occurred before."""
    max_duplicate_6_gram_ratio: Share | None = 0.14
    """Share of characters in 6 words or marks in a row that occurred before."""
    max_duplicate_7_gram_ratio: Share | None = 0.13
    """Share of characters in 7 words or marks in a row that occurred before."""
    max_duplicate_8_gram_ratio: Share | None = 0.12
    """Share of characters in 8 words or marks in a row that occurred before."""
    max_duplicate_9_gram_ratio: Share | None = 0.11
    """Share of characters in 9 words or marks in a row that occurred before."""
    max_duplicate_10_gram_ratio: Share | None = 0.10
    """Share of characters in 10 words or marks in a row that occurred before."""

    rules = (
        Rule("max_duplicate_paragraph_ratio", Scope.ALL, ratio("duplicate_paragraphs", "paragraphs")),
        Rule(
            "max_duplicate_paragraph_character_ratio",
            Scope.ALL,
            ratio("duplicate_paragraph_characters", "characters"),
        ),
        Rule("max_duplicate_line_ratio", Scope.ALL, ratio("duplicate_lines", "text_lines")),
        Rule("max_duplicate_line_character_ratio", Scope.ALL, ratio("duplicate_line_characters", "characters")),
        *(
            Rule(f"max_top_{n}_gram_ratio", Scope.ALL, ratio(f"top_{n}_gram_characters", "characters"))
            for n in (2, 3, 4)
        ),
        *(
            Rule(f"max_duplicate_{n}_gram_ratio", Scope.ALL, ratio(f"duplicate_{n}_gram_characters", "characters"))
            for n in range(5, 11)
        ),
    )
    """In the published order."""
