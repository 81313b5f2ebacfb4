"""Prompts of the user's own, from files."""

from collections.abc import Mapping

from winnow.augment.operator import Operator, Prompts


def _prompts(_settings: Mapping[str, str]) -> Prompts:
    raise ValueError("prompts: is missing; give the path of a file with {text} in it")


OPERATOR = Operator(name="prompt", prompts=_prompts, min_length=0.05, max_length=5.0)
