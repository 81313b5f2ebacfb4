"""What is wrong with a config, in the words of its settings: one line a mistake."""

import difflib
import re
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from winnow.section import Section, section_of

Location = tuple[int | str, ...]

_INSTEAD = {"filter": "to let every document go on, write `filter: {mode: annotate}`"}
"""Section -> what to write where `off` is no value for it, but what it is meant to do can be had."""


def mistakes_of(error: ValidationError, config: type[Section]) -> list[str]:
    """One line for each mistake, in the order of the settings; ``config`` is the whole config's class."""
    lines: dict[Location, str] = {}
    found = error.errors(include_url=False)
    for number, mistake in enumerate(found):
        location = mistake["loc"]
        # an item of a list that is wrong makes pydantic count it as missing as well
        if mistake["type"] == "too_short" and any(_lies_in(other["loc"], location) for other in found):
            continue
        setting = _setting_of_choices(location, config)
        if setting is None:
            lines[*location, f"#{number}"] = _line(mistake, config)
        elif setting not in lines:  # pydantic lists a mistake for every kind of value that it could have been
            same = [other for other in found if other["loc"][: len(setting)] == setting]
            lines[setting] = _line_of_choices(setting, same, config)
    return list(lines.values())


def _lies_in(location: Location, section: Location) -> bool:
    return len(location) > len(section) and location[: len(section)] == section


def _field(location: Location, config: type[Section]) -> FieldInfo | None:
    """The field that a location names, if it names one and nothing inside it."""
    section: type[Section] | None = config
    field: FieldInfo | None = None
    for part in location:
        if isinstance(part, int):
            continue
        field = section.model_fields.get(part) if section else None
        section = section_of(field.annotation) if field else None
    return field


def _choices(field: FieldInfo | None) -> list[Any]:
    """The kinds of values of a setting that may have several, such as a number or `auto`."""
    if field is None or section_of(field.annotation) or get_origin(field.annotation) not in (Union, UnionType):
        return []
    options = [option for option in get_args(field.annotation) if option is not type(None)]
    return options if len(options) > 1 else []


def _setting_of_choices(location: Location, config: type[Section]) -> Location | None:
    """The setting with several kinds of values that a location lies in; pydantic puts the kind behind its name."""
    for length in range(1, len(location)):
        if isinstance(location[length - 1], str) and _choices(_field(location[:length], config)):
            return location[:length]
    return None


def _line_of_choices(setting: Location, mistakes: list[Any], config: type[Section]) -> str:
    expected = ", or ".join(_described(option) for option in _choices(_field(setting, config)))
    value = min(mistakes, key=lambda mistake: len(mistake["loc"]))["input"]
    return f"  {_name(setting)}: expected {expected}, not {_shown(value)}"


def _described(option: Any) -> str:
    if get_origin(option) is Literal:
        return " or ".join(map(str, get_args(option)))
    if get_origin(option) is Annotated:
        kind, *limits = get_args(option)
        least = [limit.ge for field in limits for limit in getattr(field, "metadata", ()) if hasattr(limit, "ge")]
        return _described(kind) + "".join(f" of at least {bound}" for bound in least)
    if get_origin(option) in (tuple, list):
        return f"a list, each item {_described(get_args(option)[0])}"
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false"}.get(option, str(option))


def _shown(value: Any) -> str:
    """A value as YAML has it; of lists and sections only what they are, for they may hold secrets."""
    if isinstance(value, list | tuple):
        return "such a list"
    if isinstance(value, dict):
        return "a section"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    return repr(value)


def _name(location: Location) -> str:
    return ".".join(map(str, location))


def _line(mistake: Any, config: type[Section]) -> str:
    """One line about one mistake; for an unknown setting or value, the nearest known one."""
    location = mistake["loc"]
    name = _name(location)
    message = mistake["msg"].removeprefix("Value error, ")
    if mistake["type"] == "literal_error":
        values = re.findall(r"'([^']*)'", mistake["ctx"]["expected"])
        near = difflib.get_close_matches(str(mistake["input"]), values, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"  {name}: {message}, not {mistake['input']!r}{hint}"
    if mistake["type"] == "model_type":
        return f"  {name}: {_no_section(location, mistake['input'], config)}"
    if mistake["type"] != "extra_forbidden":
        return f"  {name}: {message}" if name else f"  {message}"
    section = _section(location[:-1], config)
    known = list(section.model_fields) if section else []
    near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"  {name}: unknown setting {str(location[-1])!r}; {hint}known here: {', '.join(known)}"


def _section(location: Location, config: type[Section]) -> type[Section] | None:
    field = _field(location, config)
    return section_of(field.annotation) if field else config


def _no_section(location: Location, value: Any, config: type[Section]) -> str:
    """What to write where a section belongs and something else stands."""
    name = str(location[-1])
    field, section = _field(location, config), _section(location, config)
    settings = list(section.model_fields) if section else []
    may_be_off = field is not None and type(None) in get_args(field.annotation)
    if isinstance(location[-1], int):
        return f"expected settings in braces or indented ({', '.join(settings[:3])}, ...), not {_shown(value)}"
    if value is None:
        return "nothing stands below it; indent its settings, or leave the line out to have the defaults"
    if (value is False or value in ("off", "none", "no")) and not may_be_off:
        instead = _INSTEAD.get(name, f"leave it out to have the defaults, or set what it has: {', '.join(settings)}")
        return f"cannot be switched off; {instead}"
    expected = f"settings, such as `{name}: {{{settings[0] if settings else 'setting'}: ...}}`"
    return f"expected {expected}{', or `off`' if may_be_off else ''}, not {_shown(value)}"
