"""The same content in other words (Maini and others, "Rephrasing the Web", 2024)."""

from collections.abc import Mapping

from winnow.augment.operator import Operator, Prompts

STYLES = ("easy", "medium", "hard")


def _prompts(settings: Mapping[str, str]) -> Prompts:
    style = settings.get("style", "medium")
    if style not in STYLES:
        raise ValueError(f"style: expected one of {', '.join(STYLES)}, not {style!r}")
    return Prompts((f"rephrase_{style}.txt",))


OPERATOR = Operator(name="rephrase", prompts=_prompts, settings=("style",))
