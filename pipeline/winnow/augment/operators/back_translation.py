"""A text by way of another language: one request there, one back (Sennrich, Haddow and Birch 2016)."""

from collections.abc import Mapping

from winnow.augment.operator import Operator, Prompts


def _prompts(settings: Mapping[str, str]) -> Prompts:
    if "through" not in settings:
        raise ValueError("through: is missing; give the language that texts go through, such as German")
    return Prompts(("translate.txt", "translate_back.txt"), {"language": settings["through"]})


OPERATOR = Operator(name="back_translation", prompts=_prompts, settings=("through",))
