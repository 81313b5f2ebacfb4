"""What an operator is: the prompts that it sends, one after the other, and what of the last answer is text."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Prompts:
    """What an operator asks, by its settings."""

    templates: tuple[str, ...]
    """One a request: file names of built-in prompts; each is given what the one before was answered."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What stands for ``{name}`` in them, besides ``{text}`` and ``{mark}``."""


def whole_answer(answer: str) -> str | None:
    """The text of an answer that is nothing but text."""
    return answer


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One way to make text of text."""

    name: str
    prompts: Callable[[Mapping[str, str]], Prompts]
    """From the settings that the user gave; raises ValueError for one that cannot be used."""
    settings: tuple[str, ...] = ()
    """Names of settings that it has, of ``OperatorConfig.OWN``."""
    text_of: Callable[[str], str | None] = whole_answer
    """The text in an answer, or None where the answer does not have the form that was asked for."""
    same_language: bool = True
    """Whether the text must be in the language of the passage."""
    min_length: float = 0.3
    """Characters of the text to those of the passage, at least."""
    max_length: float = 2.5
    """And at most."""
