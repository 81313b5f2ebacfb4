"""The base of every config section: frozen, typed, unknown keys refused."""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One section of the YAML. Stands beside the stage or kernel that owns its settings."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        strict=True,
        hide_input_in_errors=True,  # a value may hold a secret that was put where none belongs
    )


def section_of(annotation: Any) -> type[Section] | None:
    """The section class inside a field's type (``Section``, ``Section | None``, ``tuple[Section, ...]``), or None."""
    for option in (annotation, *get_args(annotation)):
        if isinstance(option, type) and issubclass(option, Section):
            return option
    return None
