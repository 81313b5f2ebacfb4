"""Which operators there are."""

from winnow.augment.operator import Operator
from winnow.registry import Registry

OPERATORS: Registry[Operator] = Registry(
    what="operator of augmentation",
    kind="winnow.augment.operator:Operator",
    group="winnow.augmenters",
    built_in={
        "rephrase": "winnow.augment.operators.rephrase:OPERATOR",
        "questions": "winnow.augment.operators.questions:OPERATOR",
        "back_translation": "winnow.augment.operators.back_translation:OPERATOR",
        "prompt": "winnow.augment.operators.prompt:OPERATOR",
    },
)
"""By the name in ``use``. A new one is a file in this folder and its line here, or an entry point of a package."""
