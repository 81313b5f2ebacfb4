"""What people write for numbers and switches, as the sections of the config take it.

Strict sections keep mistakes from passing; what everybody reads in the same way is no mistake: ``100M`` tokens, ``4k``
documents, ``2GB``, ``1e9``, and ``off``, ``no``, ``on`` and ``yes`` where something is switched.
"""

import re
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from winnow.config.strict_yaml import NOTHING
from winnow.section import Section, section_of

_COUNT = re.compile(r"(\d+|\d{1,3}(?:,\d{3})+|\d*\.\d+)\s*(k|K|M|G|B|T|Ki|Mi|Gi|Ti|)(B|b)?")
_FACTORS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
_FACTORS |= {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_SWITCHES = {"on": True, "yes": True, "off": False, "no": False}
_MB = "_mb"
_ABOUT = ("title", "description", "default")


def with_empty_sections(values: Any, section: type[Section] | None) -> Any:
    """The values of a section that was read with :data:`~winnow.config.strict_yaml.NOTHING` in place of nothing.

    A section with nothing in it, or with nothing but such sections, is left out: it has its defaults. Elsewhere
    nothing is None, as YAML has it.
    """
    if isinstance(values, list):
        return [with_empty_sections(item, section) for item in values]
    if not isinstance(values, dict):
        return None if values is NOTHING else values
    found = {}
    for name, value in values.items():
        inner = _inner(section, name)
        if not _is_empty(value, inner):
            found[None if name is NOTHING else name] = with_empty_sections(value, inner)
    return found


def _inner(section: type[Section] | None, name: Any) -> type[Section] | None:
    """The section that a setting is."""
    field = section.model_fields.get(name) if section and isinstance(name, str) else None
    return section_of(field.annotation) if field else None


def _is_empty(value: Any, section: type[Section] | None) -> bool:
    """Whether this is a section in which nothing is set."""
    if section is None or not isinstance(value, dict):
        return section is not None and value is NOTHING
    return bool(value) and all(_is_empty(inner, _inner(section, name)) for name, inner in value.items())


def as_meant(values: dict[str, Any], section: type[Section]) -> dict[str, Any]:
    """The values of a section, with numbers and switches as numbers, True and False."""
    return {name: _meant(name, value, section) for name, value in values.items()}


def _meant(name: str, value: Any, section: type[Section]) -> Any:
    field = section.model_fields.get(name)
    inner = section_of(field.annotation) if field else None
    if inner is not None:
        if isinstance(value, dict):
            return as_meant(value, inner)
        if isinstance(value, list):
            return [as_meant(item, inner) if isinstance(item, dict) else item for item in value]
        return _switch(value)
    if field is None or "Any" in str(field.annotation):  # a setting of an operator or of another package's step
        return _switches_in(value)
    kinds = _kinds(field.annotation)
    if str in kinds:
        return value
    if int in kinds and (number := whole_number(value, in_mb=name.endswith(_MB))) is not None:
        return number
    return _switch(value) if bool in kinds else value


def whole_number(value: Any, *, in_mb: bool = False) -> int | None:
    """The whole number that a text or a float means; None where it means none.

    Args:
        value: ``100M`` is 10^8, ``4k`` 4,000, ``4Ki`` 4,096, ``2B`` 2 x 10^9, ``1e9`` and ``1,000,000`` as they look.
        in_mb: the number is one of MB (10^6 bytes), of which whole ones are taken; what has a unit is in bytes.
    """
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    found = _COUNT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or not (found[2] or found[3] or "," in found[1]):
        return None  # a number in quotes is told as one
    digits, unit, in_bytes = found.groups()
    if in_bytes and not in_mb:
        return None  # bytes, where none are asked for
    factor = 1 if in_mb and unit == "B" else _FACTORS[unit]
    amount = round(float(digits.replace(",", "")) * factor) if "." in digits else int(digits.replace(",", "")) * factor
    if not in_mb or not (unit or in_bytes):
        return amount
    return amount // 10**6 if amount >= 10**6 else None


def with_units(schema: Any) -> Any:
    """A JSON schema in which whole numbers may have units, and sections nothing in them, as configs may."""
    if isinstance(schema, list):
        return [with_units(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "integer":
        number = {key: value for key, value in schema.items() if key not in _ABOUT}
        about = {key: value for key, value in schema.items() if key in _ABOUT}
        return about | {"anyOf": [number, {"type": "string", "pattern": f"^(?:{_COUNT.pattern})$"}]}
    found = {key: with_units(value) for key, value in schema.items()}
    if "properties" in schema:
        found["properties"] = {name: _or_nothing(inner) for name, inner in found["properties"].items()}
    return found


def _or_nothing(schema: Any) -> Any:
    """The schema of a setting; of a section, or a list of them, null will do."""
    if "$ref" not in schema and "$ref" not in schema.get("items", {}):
        return schema
    about = {key: value for key, value in schema.items() if key in _ABOUT}
    return about | {"anyOf": [{key: value for key, value in schema.items() if key not in _ABOUT}, {"type": "null"}]}


def no_json(value: Any, where: str = "") -> str | None:
    """What cannot stand in settings: a name that is no text, a number of over 64 bits, a value of another kind."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                return (
                    f"{where or 'at the top'}: {key!r} is no name of a setting; put it in quotes if it is meant as one"
                )
            if (found := no_json(item, f"{where}.{key}" if where else key)) is not None:
                return found
        return None
    if isinstance(value, list | tuple):
        told = (no_json(item, f"{where}.{number}") for number, item in enumerate(value))
        return next(filter(None, told), None)
    if isinstance(value, int):
        return (
            None if -(1 << 63) <= value < 1 << 64 else f"{where}: {value} is too large; use numbers of 63 bits at most"
        )
    if value is None or isinstance(value, str | float):
        return None
    return f"{where}: a {type(value).__name__}; settings are texts, numbers, lists and sections: put it in quotes"


def _switches_in(value: Any) -> Any:
    """Settings that only their owner knows: a word by itself switches, one in a list is a name."""
    return {key: _switches_in(item) for key, item in value.items()} if isinstance(value, dict) else _switch(value)


def _switch(value: Any) -> Any:
    return _SWITCHES.get(value.lower(), value) if isinstance(value, str) else value


def _kinds(annotation: Any) -> set[Any]:
    """Plain types that a setting may have, by itself (not inside a list)."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return {kind for option in get_args(annotation) for kind in _kinds(option)}
    return {annotation}
