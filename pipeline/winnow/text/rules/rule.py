"""What a rule is: a value computed from signals, the setting that bounds it, and the languages it makes sense for."""

from collections.abc import Callable
from enum import Enum
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.section import Names, Section

Counts = dict[str, NDArray[np.float64]]
"""Signal name -> float64[N]."""


class Scope(Enum):
    """The documents for which a rule makes sense."""

    ALL = "every language"
    SPACED = "languages written with spaces between words"
    ALPHABETIC = "languages written with spaces and letters for sounds: lengths compare with English"
    SENTENCE_MARKS = "languages that end sentences with a mark"
    STOP_WORDS = "languages with a list of stop words"


class Rule(NamedTuple):
    """One rule of a set. ``setting`` names the field of the set's config; ``min_`` or ``max_`` gives its direction."""

    setting: str
    scope: Scope
    value: Callable[[Counts, Any], NDArray[np.float64]]  # (counts, the set's config) -> [N]; NaN where undefined


class RuleSet(Section):
    """Base of the sections of rule sets: the settings that bound its rules, and the rules."""

    rules: ClassVar[tuple[Rule, ...]] = ()
    """In the order in which a document's failures are listed."""

    languages: Names | None = None
    """ISO 639-1 codes of the languages that the set applies to; none given: all (each rule where it makes sense)."""

    sources: Literal["prose", "all"] | Names = "prose"
    """Sources that the set applies to: `prose`, those of plain texts (no conversations, pairs or labelled documents, of
    which web rules would drop most); `all`; or a list of names. A set that the config names, by `on` or by settings,
    applies to `all` unless it says otherwise."""

    @classmethod
    def check(cls, name: str) -> None:
        """Look whether the rules and the settings belong together.

        Raises:
            ValueError: there is no rule, or one is bounded by a setting that is not there or has no direction.
        """
        if not cls.rules:
            raise ValueError(f"rule set {name}: {cls.__name__}.rules is empty; expected rules = (Rule(...), ...)")
        for rule in cls.rules:
            if rule.setting not in cls.model_fields:
                settings = ", ".join(field for field in cls.model_fields if field not in ("languages", "sources"))
                raise ValueError(f"rule set {name}: {cls.__name__} has no setting {rule.setting!r}; it has {settings}")
            if not rule.setting.startswith(("min_", "max_")):
                raise ValueError(
                    f"rule set {name}: setting {rule.setting!r} must begin with min_ or max_, which says on which side "
                    "of it documents fail"
                )


def ratio(above: str, *below: str) -> Callable[[Counts, Any], NDArray[np.float64]]:
    """One signal divided by the sum of others; NaN where that is 0."""

    def value(counts: Counts, _config: Any) -> NDArray[np.float64]:
        total = sum((counts[name] for name in below[1:]), counts[below[0]])
        result = np.full(len(total), np.nan)
        np.divide(counts[above], total, out=result, where=total > 0)
        return result

    return value


def count(name: str) -> Callable[[Counts, Any], NDArray[np.float64]]:
    """A signal as it is."""
    return lambda counts, _config: counts[name]
