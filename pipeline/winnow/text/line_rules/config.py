"""The settings `measure.line_rules`."""

from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from winnow.section import Names, Section

RULES = (
    "navigation",
    "long_word",
    "terminal_punctuation",
    "few_words",
    "javascript",
    "policy",
    "citation",
    "blank",
)
"""What lines, or parts of lines, go by."""


def columns_of(rule: str) -> tuple[str, str]:
    """The signals of a rule: lines and bytes that went by it."""
    return f"removed_{rule}_lines", f"removed_{rule}_bytes"


COLUMNS = tuple(column for rule in RULES for column in columns_of(rule))
"""Signals of all rules."""


class C4LinesConfig(Section):
    """C4's line rules, as removal: lines that break one go, kept ones are stripped, blank ones go. The rules on whole
    documents (sentences, `lorem ipsum`, `{`) are the filter's (`filter.c4`)."""

    terminal_punctuation: bool = True
    """Lines go that do not end in `. ? ! " '`, or the full stop of another script, or that end in `...`. FineWeb found
    that this rule alone removes 30 % of the tokens, and leaves it off."""
    min_words: int = Field(3, ge=1, le=1000)
    """Lines of fewer words go."""
    max_word_characters: int = Field(1000, ge=1)
    """Lines with a longer word go."""
    javascript: bool = True
    """Lines with `javascript` go."""
    policy: bool = True
    """Lines with `terms of use`, `privacy policy`, `cookie policy`, `uses cookies`, `use of cookies` or `use cookies`
    go."""
    citations: bool = True
    """`[12]`, `[]`, `[edit]` and `[citation needed]` are taken out of lines."""


class NavigationConfig(Section):
    """Menus: runs of short lines that look like links. Blank lines do not end a run."""

    min_lines: int = Field(6, ge=2, le=10_000)
    """Lines in a run from which it goes."""
    max_words: int = Field(4, ge=1, le=100)
    """Words that such a line may have; two characters of a script without spaces count as one."""
    max_characters: int = Field(30, ge=1, le=1000)
    """Characters that it may have, white space around it and a bullet apart."""


class LineRulesConfig(Section):
    """Lines that go by what they are (docs/web.md), before anything is measured. Nothing is on by itself."""

    c4: C4LinesConfig | None = None
    """C4's line rules; `on` for all of them."""
    navigation: NavigationConfig | None = None
    """Menus; `on` for the defaults."""
    max_blank_lines: int | None = Field(None, ge=0, le=10_000)
    """Blank lines that may follow one another; further ones go. None given: all stay."""
    sources: Names | None = None
    """Names of the sources it is done in; none given: all. Leave out program text and markup."""

    @field_validator("c4", "navigation", mode="before")
    @classmethod
    def _on_or_off(cls, value: Any) -> Any:
        if value is False or value in ("off", "none"):
            return None
        return {} if value is True or value == "on" else value

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.c4 is None and self.navigation is None and self.max_blank_lines is None:
            raise ValueError("give c4, navigation or max_blank_lines, or leave line_rules out; none of them is on")
        return self

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules by which lines can go."""
        off = {"navigation"} if self.navigation is None else set()
        off |= set(RULES[1:-1]) if self.c4 is None else set()
        return tuple(rule for rule in RULES if rule not in off)

    @property
    def columns(self) -> tuple[str, ...]:
        """What the signals table has besides."""
        return tuple(column for rule in self.rules for column in columns_of(rule))

    def takes(self, source: str) -> bool:
        """Whether it is done in a source."""
        return self.sources is None or source in self.sources
