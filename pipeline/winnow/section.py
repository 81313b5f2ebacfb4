"""The base of every config section: frozen, typed, bounded, unknown keys refused."""

from typing import Annotated, Any, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

LARGEST = 10**15
"""No number of a config is larger, up or down, unless its own bound allows it: a petabyte, or 250 times all text."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole: 80 % is 0.8."""


def _list_as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _names_something(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("an empty list takes nothing: name at least one, or leave the setting out to take all")
    return names


Names = Annotated[tuple[str, ...], BeforeValidator(_list_as_tuple), AfterValidator(_names_something)]
"""A list that names at least one thing."""


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

    @model_validator(mode="after")
    def _numbers_in_bounds(self) -> Self:
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, int | float) and abs(value) > LARGEST and not _bounded_above(info.metadata):
                raise ValueError(f"{name} ({value:g}) is out of bounds: at most {LARGEST:,}")
            most = getattr(self, f"max{name[3:]}", None) if name.startswith("min") else None
            if value is not None and most is not None and value > most:
                raise ValueError(
                    f"{name} ({value:g}) is more than max{name[3:]} ({most:g}): nothing could satisfy both; lower the "
                    "one or raise the other"
                )
        return self


def _bounded_above(metadata: list[Any]) -> bool:
    return any(hasattr(bound, "le") or hasattr(bound, "lt") for bound in metadata)


def section_of(annotation: Any) -> type[Section] | None:
    """The section class inside a field's type (``Section``, ``Section | None``, ``tuple[Section, ...]``), or None."""
    for option in (annotation, *get_args(annotation)):
        if isinstance(option, type) and issubclass(option, Section):
            return option
    return None
