"""What is wrong with a config, in the words of its settings: one line a mistake."""

import re
from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from winnow.section import Section, section_of
from winnow.suggest import meant, meant_or_known

Location = tuple[int | str, ...]

_INSTEAD = {"filter": "to let every document go on, write `filter: {mode: annotate}`"}
"""Section -> what to write where `off` is no value for it, but what it is meant to do can be had."""


_GUARDED = "encryption"
"""The section in which somebody may have put a key, of which no message shows a value."""
_HIDDEN = object()


def mistakes_of(error: ValidationError, config: type[Section]) -> list[str]:
    """One line for each mistake, in the order of the settings; ``config`` is the whole config's class."""
    lines: dict[Location, str] = {}
    found = error.errors(include_url=False)
    for mistake in found:
        if _GUARDED in mistake["loc"]:
            mistake["input"] = _HIDDEN
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
    options = _choices(_field(setting, config))
    expected = ", or ".join(map(_described, options))
    # of a list or of settings by name, the place inside it that is wrong
    inside = max(mistakes, key=lambda mistake: len(mistake["loc"]))
    checked = [mistake for mistake in mistakes if mistake["type"] == "value_error"]  # of the right kind, and wrong
    if checked and not any(get_origin(option) is Literal for option in options):
        inside = max(checked, key=lambda mistake: len(mistake["loc"]))
        place = tuple(part for part in inside["loc"][len(setting) :] if not _is_kind(part))
        return f"  {_name((*setting, *place))}: {_said(inside)}"
    place = tuple(part for part in inside["loc"][len(setting) :] if not _is_kind(part))
    value = min(mistakes, key=lambda mistake: len(mistake["loc"]))["input"]
    if place and isinstance(inside["input"], str | int | float | bool | None):
        return f"  {_name((*setting, *place))}: expected {expected}, not {_shown(inside['input'])} there"
    how = ""
    if isinstance(value, str) and any(_described(option).startswith("a list, each item text") for option in options):
        how = f"; write [{_in_list(value)}]"
    return f"  {_name(setting)}: expected {expected}, not {_shown(value)}{how}"


def _is_kind(part: int | str) -> bool:
    """Whether a part of a location is what pydantic calls a kind of value, not a name or a place in a list."""
    return (
        isinstance(part, str)
        and re.match(r"(tuple|list|dict|constrained|union|literal|function|nullable)\b", part) is not None
    )


def _in_list(text: str) -> str:
    """A text as YAML takes it as an item of a list in brackets."""
    return f"'{text}'" if re.search(r"[^\w.,/ -]", text) or text.lower() in ("null", "true", "false") else text


def _described(option: Any, bounds: Sequence[Any] = ()) -> str:
    if get_origin(option) is Literal:
        return " or ".join(map(str, get_args(option)))
    if get_origin(option) is Annotated:
        kind, *limits = get_args(option)
        return _described(kind, [bound for limit in limits for bound in getattr(limit, "metadata", [limit])])
    if get_origin(option) in (Union, UnionType):
        return " or ".join(_described(inner, bounds) for inner in get_args(option) if inner is not type(None))
    if get_origin(option) in (tuple, list):
        return f"a list, each item {_described(get_args(option)[0])}"
    if get_origin(option) is dict:
        return f"settings by name, each {_described(get_args(option)[1])}"
    if isinstance(option, type) and issubclass(option, Section):
        return f"settings ({', '.join([*option.model_fields][:3])}, ...)"
    least = [bound.ge for bound in bounds if hasattr(bound, "ge")]
    kind = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Any: "a value"}.get(
        option, str(option)
    )
    return kind + (f" of at least {least[0]:,}" if least else "")


def _shown(value: Any) -> str:
    """A value as YAML has it; of lists and sections only what they are, for they may hold secrets."""
    if value is _HIDDEN:
        return "what stands there"
    if isinstance(value, list | tuple):
        return "such a list"
    if isinstance(value, dict):
        return "a section"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    return repr(value)


def _annotation(location: Location, config: type[Section]) -> tuple[Any, Sequence[Any]]:
    """The type that belongs at a location, also inside lists and of values by name, with its bounds."""
    for length in range(len(location), 0, -1):
        if isinstance(location[length - 1], str) and (field := _field(location[:length], config)) is not None:
            kind: Any = field.annotation
            bounds: Sequence[Any] = field.metadata
            for _ in location[length:]:
                kind, bounds = _item_type(kind), ()
            return kind, bounds
    return config, ()


def _item_type(kind: Any) -> Any:
    while get_origin(kind) in (Annotated, Union, UnionType):
        kind = next(option for option in get_args(kind) if option is not type(None))
    inner = get_args(kind)
    return inner[-1] if get_origin(kind) is dict else inner[0] if inner else Any


def _wrong_type(location: Location, value: Any, config: type[Section]) -> str:
    """What belongs where something of another type stands, and how it is written."""
    kind, bounds = _annotation(location, config)
    expected = _described(kind, bounds)
    how = ""
    if isinstance(value, str):
        bare = value.strip()
        if expected.startswith("a list, each item settings"):
            how = _as_items(kind)
        elif expected.startswith("a list"):
            how = "; take the quotes away" if re.fullmatch(r"\[.*\]", bare) else f"; write [{bare}]"
        elif "number" in expected and bare.lower() in _NOTHING and _may_be_null(location, config):
            how = "; write null"
        elif "number" in expected and re.fullmatch(r"[-+]?[\d.,]+\s*%", bare):
            how = f"; write {float(bare[:-1].replace(',', '.')) / 100:g}"
        elif "number" in expected and re.fullmatch(r"0+\d+", bare):
            how = f"; write {int(bare)}"
        elif expected.startswith("a number") and re.fullmatch(r"[-+]?\d+,\d+", bare):
            how = f"; write {bare.replace(',', '.')}"
        elif "number" in expected and re.fullmatch(r"[-+]?(\d+|\d*\.\d+)", bare):
            how = "; take the quotes away"
        elif "whole number" in expected:
            how = "; 100M, 4k and 2GB (for MB) will do, other words will not"
        elif "true or false" in expected and bare.lower() in ("true", "false"):
            how = "; take the quotes away"
    elif value is None:
        field = _field(location, config)
        what = "a value is needed" if field is None or field.is_required() else "leave the line out to have the default"
        how = f"; YAML reads ~ and null as nothing: {what}"
    elif expected.startswith("text") and isinstance(value, bool | int | float):
        how = f"; put it in quotes: '{str(value).lower() if isinstance(value, bool) else value}'"
    elif expected.startswith("a list") and not isinstance(value, dict | list):
        how = f"; write [{_shown(value)}]"
    elif expected.startswith("a list, each item settings") and isinstance(value, dict):
        known = getattr(section_of(kind), "model_fields", {})
        how = f"; put a - before it: `- {next(iter(value), 'name')}: ...`" if value.keys() & known else _as_items(kind)
    if expected.startswith("settings by name"):
        field = _field(location, config)
        how = "; write {NAME: VALUE}" + (", or {} for none" if field and isinstance(field.default, dict) else "")
    return f"expected {expected}, not {_shown(value)}{how}"


_NOTHING = ("none", "null", "nil", "off", "no", "unlimited", "")


def _as_items(kind: Any) -> str:
    """How a list of sections is written."""
    first, second = [*getattr(section_of(kind), "model_fields", {}), "...", "..."][:2]
    return f"; write each as an item of a list: `- {{{first}: ..., {second}: ...}}`"


def _may_be_null(location: Location, config: type[Section]) -> bool:
    field = _field(location, config)
    return field is not None and type(None) in get_args(field.annotation)


_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def _number(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def _of_value(mistake: Any, config: type[Section]) -> str | None:
    """What is wrong with a value, by pydantic's kind of mistake; None for kinds with a message of their own."""
    kind, location, value = mistake["type"], mistake["loc"], mistake["input"]
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"must be {words} {_number(mistake['ctx'][bound])}, not {_shown(value)}"
    if kind in ("too_short", "string_too_short"):
        return f"must have at least {mistake['ctx']['min_length']} item" if kind == "too_short" else "must not be empty"
    if kind in ("too_long", "string_too_long"):
        return f"must have at most {mistake['ctx']['max_length']} items or characters"
    if kind == "finite_number":
        return f"must be a finite number, not {value}"
    if kind == "missing":
        field = _field(location, config)
        said = " ".join((field.description or "").split()) if field else ""
        said = re.split(r"\. (?=[A-Z])", said)[0].rstrip(".")
        return f"is missing; give it{f': {said}' if said else ''}"
    if kind.endswith(("_type", "_parsing")) or kind == "int_from_float":
        return _wrong_type(location, value, config)
    return None


def _said(mistake: Any) -> str:
    """What a check of our own said."""
    return str(mistake["msg"]).removeprefix("Value error, ")


def _name(location: Location) -> str:
    return ".".join(map(str, location))


def _line(mistake: Any, config: type[Section]) -> str:
    """One line about one mistake; for an unknown setting or value, the nearest known one."""
    location = mistake["loc"]
    name = _name(location)
    message = _said(mistake)
    if mistake["type"] == "literal_error":
        values = re.findall(r"'([^']*)'", mistake["ctx"]["expected"])
        hint = meant(str(mistake["input"]), values)
        told = f"  {name}: expected {mistake['ctx']['expected']}, not {_shown(mistake['input'])}"
        return f"{told}; {hint}" if hint else told
    if mistake["type"] == "model_type":
        return f"  {name}: {_no_section(location, mistake['input'], config)}"
    if (wrong := _of_value(mistake, config)) is not None:
        return f"  {name}: {wrong}"
    if mistake["type"] != "extra_forbidden":
        return f"  {name}: {message}" if name else f"  {message}"
    section = _section(location[:-1], config)
    known = list(section.model_fields) if section else []
    if str(location[-1]).isdecimal():
        return f"  {name}: is no setting; a comma ends a value in braces: write 1000000 or 1_000_000"
    told = meant_or_known(str(location[-1]), known, "known here")
    if elsewhere := _elsewhere(location, config):
        told = f"it belongs to another section: {', '.join(elsewhere)}; known here: {', '.join(known)}"
    return f"  {name}: unknown setting {str(location[-1])!r}; {told}"


def _elsewhere(location: Location, config: type[Section]) -> list[str]:
    """Where settings of such a name are, as far as their section is near the one where it stands."""
    sections = tuple(part for part in location[:-1] if isinstance(part, str))
    found = [place for place in _places(config) if place[-1] == location[-1]]

    def shared(place: tuple[str, ...]) -> int:
        return next((n for n, (a, b) in enumerate(zip(place, sections, strict=False)) if a != b), len(sections))

    most = max(map(shared, found), default=0)
    return [".".join(place) for place in found if shared(place) == most][:3]


def _places(section: type[Section], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every setting by the sections that it lies in."""
    for name, field in section.model_fields.items():
        yield (*above, name)
        if inner := section_of(field.annotation):
            yield from _places(inner, (*above, name))


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
    if isinstance(value, str) and (name_and_value := re.fullmatch(r"([a-z_]+):(\S.*)", value)):
        return f"{value!r} is one text: put a space behind the colon, {name_and_value[1]}: {name_and_value[2]}"
    if isinstance(value, list) and len(value) and all(isinstance(item, dict) for item in value):
        return "expected settings, not a list of them; take out the - before each"
    expected = f"settings, such as `{name}: {{{settings[0] if settings else 'setting'}: ...}}`"
    return f"expected {expected}{', or `off`' if may_be_off else ''}, not {_shown(value)}"
