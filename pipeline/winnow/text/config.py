"""The sections `measure` and `filter` of the config."""

from typing import Literal

from winnow.operators.config import OperatorConfig
from winnow.section import Section, Share
from winnow.text.language.config import LanguageConfig
from winnow.text.normalise.config import NormaliseConfig
from winnow.text.rules.config import RulesConfig


class FilterConfig(RulesConfig):
    """Which documents go on."""

    mode: Literal["filter", "annotate"] = "filter"
    """`filter` drops documents that fail a rule; `annotate` records the failures and lets them go on."""
    alarm_share: Share = 0.9
    """A source, or the documents of a language, that loses a larger share to the rules raises an alarm with the rule
    that most of them fail."""


class MeasureConfig(Section):
    """What is done to the text before anything is decided."""

    normalise: NormaliseConfig = NormaliseConfig()
    language: LanguageConfig = LanguageConfig()
    operators: tuple[OperatorConfig, ...] = ()
    """Signals, mappers and filters of your own (docs/extending.md), in the order in which they see the text: after
    normalisation and boilerplate lines, before anything is counted; those with ``gpu=True`` after dedup."""

    def operators_on(self, *, gpu: bool) -> tuple[OperatorConfig, ...]:
        """Operators that ask for a GPU, or those before them, in their order; once they are found."""
        return tuple(entry for entry in self.operators if entry.on_gpu == gpu and not entry.finds_spans)

    @property
    def span_operators(self) -> tuple[OperatorConfig, ...]:
        """Operators that find what is replaced in kept texts, in their order; once they are found."""
        return tuple(entry for entry in self.operators if entry.finds_spans)
