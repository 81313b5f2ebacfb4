"""Languages that rules name: some document must be able to be in each."""

from collections.abc import Mapping

from winnow.text.config import FilterConfig
from winnow.text.language.codes import nearest_code


def check_languages(rules: FilterConfig, known: Mapping[str, str]) -> None:
    """Look whether every language that a rule names is one that documents can be found to be in.

    Args:
        rules: the section `filter`.
        known: code -> English name.

    Raises:
        ValueError: one is none.
    """
    scopes = {"filter": rules.languages}
    scopes |= {f"filter.{name}": part.languages for name, part in rules.rule_sets.items()}
    scopes |= {f"filter.rules.{number}": rule.languages for number, rule in enumerate(rules.rules)}
    for name, languages in scopes.items():
        for language in languages or ():
            if language in known:
                continue
            near = nearest_code(language)
            hint = f"did you mean {near!r} ({known[near]})?" if near and near in known else "known: " + ", ".join(known)
            raise ValueError(
                f"{name}.languages: no document is ever found to be {language!r}, which is not a code of a "
                f"language; expected codes such as en, de or zh; {hint}"
            )
