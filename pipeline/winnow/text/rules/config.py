"""Rule sets and rules of one's own, as the section `filter` has them."""

from typing import Any, TypeVar

from pydantic import Field, create_model, field_validator

from winnow.section import Names, Section
from winnow.text.rules.registry import BUILT_IN, RULE_SETS
from winnow.text.rules.rule import RuleSet
from winnow.text.rules.signal_rules import SignalRule, rule_names

RULE_NAMES: tuple[str, ...] = (
    "empty",
    "language",
    *(f"{name}.{rule.setting}" for name, rule_set in RULE_SETS.items() for rule in rule_set.rules),
)
"""All rules of sets in order; a rule's index is its place here. `empty` is always on. Rules that the config gives
(``filter.rules``) and operators that filter come after them (``all_names``)."""


T = TypeVar("T", bound=Section)


def _with_rule_sets(config: type[T]) -> type[T]:
    """A config with a section for each rule set: on by default where it is built in."""
    fields: dict[str, Any] = {
        name: (rule_set | None, Field(rule_set() if name in BUILT_IN else None, description=rule_set.__doc__))
        for name, rule_set in RULE_SETS.items()
    }
    made = create_model(config.__name__, __base__=config, __module__=config.__module__, **fields)
    made.__doc__ = config.__doc__
    return made


@_with_rule_sets
class RulesConfig(Section):
    """Which documents are good enough. Write `off` to switch a set of rules off."""

    languages: Names | None = None
    """ISO 639-1 codes of the languages to keep; none given: all."""
    rules: tuple[SignalRule, ...] = ()
    """Rules of your own on any signal, such as {name: short, signal: words, min: 50} (docs/extending.md)."""

    @field_validator(*RULE_SETS, mode="before", check_fields=False)
    @classmethod
    def _on_or_off(cls, value: Any) -> Any:
        if value is False or value == "off":
            return None
        value = {} if value is True or value == "on" else value
        # named, so it is meant for whatever the sources hold (a validator sees no default)
        return {"sources": "all", **value} if isinstance(value, dict) else value

    @property
    def rule_sets(self) -> dict[str, RuleSet]:
        """The sets that are on, by name."""
        return {name: found for name in RULE_SETS if (found := getattr(self, name)) is not None}

    @field_validator("rules")
    @classmethod
    def _own_names(cls, rules: tuple[SignalRule, ...]) -> tuple[SignalRule, ...]:
        names = [name for rule in rules for name in rule_names((rule,))]
        for name in names:
            if name in RULE_NAMES:
                raise ValueError(f"{name!r} is a rule of Winnow's own; give the rule another name")
            if names.count(name) > 1:
                raise ValueError(f"two rules are named {name!r}; give one another name")
        return rules
