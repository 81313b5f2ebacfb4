"""Which rule sets there are. One line adds one of the project's own; installed packages bring theirs as entry points.

An entry point of the group ``winnow.rule_sets`` names a :class:`RuleSet` class; the config's section ``filter`` takes
it by the entry point's name, and it is off unless it stands there.
"""

import importlib.metadata

from winnow.errors import ConfigError
from winnow.text.rules.c4 import C4Config
from winnow.text.rules.fineweb import FineWebConfig
from winnow.text.rules.gopher import GopherQualityConfig, GopherRepetitionConfig
from winnow.text.rules.rule import RuleSet

ENTRY_POINTS = "winnow.rule_sets"

BUILT_IN: dict[str, type[RuleSet]] = {
    "gopher_quality": GopherQualityConfig,
    "gopher_repetition": GopherRepetitionConfig,
    "c4": C4Config,
    "fineweb": FineWebConfig,
}
"""Name in the config -> class; all are on by default. Rules are numbered in this order, so add at the end."""


def _installed() -> dict[str, type[RuleSet]]:
    """Rule sets of installed packages, by name.

    Raises:
        ConfigError: one cannot be loaded, is none, or has a name that is taken.
    """
    found: dict[str, type[RuleSet]] = {}
    for point in sorted(importlib.metadata.entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        where = f"rule set {point.name!r} ({point.value}, an entry point of group {ENTRY_POINTS})"
        try:
            loaded = point.load()
        except Exception as error:
            raise ConfigError(f"{where}: cannot be loaded: {type(error).__name__}: {error}") from error
        if not (isinstance(loaded, type) and issubclass(loaded, RuleSet)):
            raise ConfigError(f"{where}: is no class based on winnow.text.rules.rule.RuleSet")
        if point.name in BUILT_IN or found.get(point.name, loaded) is not loaded or not point.name.isidentifier():
            raise ConfigError(f"{where}: its name is taken, or is no plain name; rename the entry point")
        found[point.name] = loaded
    return found


RULE_SETS: dict[str, type[RuleSet]] = BUILT_IN | _installed()
"""All of them."""
for _name, _rule_set in RULE_SETS.items():
    _rule_set.check(_name)
