"""Reference pages: each setting from its section, each command from its parser, each public name from its docstring."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import click
import typer

import winnow
from jobs.__main__ import app
from winnow.ablate.plan import Experiment, Plan
from winnow.ablate.search_plan import SearchPlan
from winnow.augment.config import AugmentConfig
from winnow.config.config import Config
from winnow.section import Section, section_of

SETTINGS = "reference/settings.md"


@cache
def settings_pages() -> dict[str, str]:
    """Pages by path: one for what stands at the top of a config, with links to the others, and one a section."""
    pages, top, listed = {}, [], []
    for name, info in Config.model_fields.items():
        section = section_of(info.annotation)
        if section is None:
            top.append(name)
            continue
        path = f"reference/{name}.md"
        listed.append(f"| [`{name}`]({name}.md) | {_text(info.description) or _text(section.__doc__)} |")
        body = [f"# {name}", _text(info.description), _default_of_section(info.get_default(call_default_factory=True))]
        pages[path] = "\n\n".join([*filter(None, body), *_tables(section, name)]) + "\n"
    listed.append("| [`augment.yaml`](augment.md) | The file of `winnow augment`. |")
    about = "Settings of the file of `winnow augment` ([Augmentation](../augment.md))."
    pages["reference/augment.md"] = "\n\n".join(["# augment", about, *_tables(AugmentConfig, "")]) + "\n"
    head = (
        "# Settings\n\nEvery setting has a default but `run` and `sources`; `winnow init` writes them all into "
        "one file, and `winnow schema` gives them to editors. Any can be given on the command line: "
        "`--set shards.seed=8`.\n"
    )
    tops = "\n".join(["## At the top", "", _HEAD, *(_row(Config, "", name) for name in top)])
    sections = "\n".join(["## Sections", "", "| section | |", "| --- | --- |", *listed])
    return {SETTINGS: f"{head}\n{tops}\n\n{sections}\n", **pages}


@cache
def plans_page() -> str:
    """Settings of the plans of ablations and of searches for mixtures."""
    body = [
        "# Plans",
        "Settings of `winnow ablate PLAN.yaml` and `winnow mixture search PLAN.yaml` ([what they do](../ablate.md)).",
        "\n".join(["## Of both", "", _HEAD, *(_row(Plan, "", name) for name in _plain(Experiment))]),
        "\n".join(["## Of an ablation", "", _HEAD, *(_row(Plan, "", name) for name in _plain(Plan, Experiment))]),
        "\n".join(["## Of a search", "", _HEAD, *(_row(SearchPlan, "", n) for n in _plain(SearchPlan, Experiment))]),
    ]
    for name, info in Plan.model_fields.items():
        section = section_of(info.annotation)
        if section is not None and name not in Config.model_fields:
            body += [f"## `{name}`", _text(info.description) or _text(section.__doc__), *_tables(section, name)]
    return "\n\n".join(body) + "\n"


def _plain(section: type[Section], without: type[Section] = Section) -> list[str]:
    """Settings that are no sections, those of another section left out."""
    fields = section.model_fields.items()
    return [n for n, info in fields if section_of(info.annotation) is None and n not in without.model_fields]


_HEAD = "| setting | values | default | meaning |\n| --- | --- | --- | --- |"


def _tables(section: type[Section], place: str) -> Iterator[str]:
    """A table of a section's settings, and those of the sections in it."""
    plain = [name for name, info in section.model_fields.items() if section_of(info.annotation) is None]
    if plain:
        yield "\n".join([_HEAD, *(_row(section, place, name) for name in plain)])
    for name, info in section.model_fields.items():
        inner = section_of(info.annotation)
        if inner is not None:
            where = f"{place}.{name}" if place else name
            kind = "A list of these. " if "tuple" in str(info.annotation) else ""
            default = "" if kind else _default_of_section(info.get_default(call_default_factory=True))
            yield f"## `{where}`\n\n{' '.join(filter(None, [_text(info.description), kind.strip(), default]))}"
            yield from _tables(inner, where)


def _default_of_section(default: Any) -> str:
    return "Off unless something stands in it." if default is None else ""


@cache
def _schema(section: type[Section]) -> dict[str, Any]:
    return section.model_json_schema()


def _row(section: type[Section], place: str, name: str) -> str:
    info = section.model_fields[name]
    schema = _schema(section)
    whole = schema if "properties" in schema else schema["anyOf"][0]  # the others are short forms of it
    values = _values(whole["properties"][name], schema.get("$defs", {}))
    if info.is_required():
        default = "needed"
    else:
        value = info.get_default(call_default_factory=True)
        default = f"`{json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)}`"
    named = f"{place}.{name}" if place else name
    return f"| `{named}` {{ #{named.replace('.', '-')} }} | {values} | {default} | {_text(info.description)} |"


def _values(schema: dict[str, Any], known: dict[str, Any]) -> str:
    """What a setting takes, from its JSON schema: kinds, bounds, choices."""
    if "$ref" in schema:
        return _values(known[schema["$ref"].rpartition("/")[2]], known)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(dict.fromkeys(_values(option, known) for option in schema[word]))
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind == "array":
        return "a list" + (f" of {inner}" if (inner := _values(schema.get("items", {}), known)) != "anything" else "")
    if kind == "object":
        inner = schema.get("additionalProperties")
        return "names" + (f" with {_values(inner, known)}" if isinstance(inner, dict) and inner else "")
    names = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "`true`, `false`",
        "null": "`null`",
    }
    bounds = [
        f"{sign} {schema[key]:g}" if isinstance(schema[key], float) else f"{sign} {schema[key]:,}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    return " ".join([names.get(str(kind), "anything"), ", ".join(bounds)]).strip()


def commands_page() -> str:
    """Every command with its arguments and options."""
    program = typer.main.get_command(app)
    parts = ["# Commands", "`winnow COMMAND --help` says the same. Exit codes: [On a cluster](../cluster.md)."]
    parts += [part for name, command in _commands(program, "winnow") for part in _command(name, command)]
    return "\n\n".join(parts) + "\n"


def _commands(group: click.Command, place: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in sorted(getattr(group, "commands", {}).items()):
        if getattr(command, "commands", None):
            yield from _commands(command, f"{place} {name}")
        else:
            yield f"{place} {name}", command


def _command(name: str, command: click.Command) -> Iterator[str]:
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    arguments = [parameter for parameter in shown if _is_argument(parameter)]
    usage = " ".join([name, *(_metavar(argument) for argument in arguments)])
    options = " [OPTIONS]" if len(arguments) < len(shown) else ""
    yield f"## {name}\n\n```\n{usage}{options}\n```\n\n{_text(command.help)}"
    rows = []
    for parameter in shown:
        label = _metavar(parameter) if _is_argument(parameter) else ", ".join(parameter.opts)
        more = [] if _is_argument(parameter) else parameter.secondary_opts
        default = parameter.default
        told = "" if default in (None, False, (), []) or callable(default) else f"`{default}`"
        rows.append(f"| `{' / '.join([label, *more])}` | {_text(getattr(parameter, 'help', ''))} | {told} |")
    if rows:
        yield "\n".join(["| | | default |", "| --- | --- | --- |", *rows])


def _is_argument(parameter: click.Parameter) -> bool:
    return parameter.param_type_name == "argument"  # typer has a copy of click with classes of its own


def _metavar(argument: click.Parameter) -> str:
    name = argument.metavar or (argument.name or "").upper()
    return f"{name}..." if argument.nargs == -1 and not name.endswith("...") else name


def python_page() -> str:
    """Every public name of ``import winnow``."""
    head = "# Python\n\nWhat `import winnow` offers. Nothing else is loaded until a name is used.\n"
    where = {**winnow._WHERE, "ShardRows": "shards.dataset.torch_datasets"}
    names = [f"::: winnow.{module}.{name}" for name, module in where.items()]
    return "\n\n".join([head, *names]) + "\n"


def _text(text: str | None) -> str:
    """A description as one cell of a table."""
    joined = " ".join((text or "").split()).replace("``", "`")
    # what stands between backticks is shown as it is; elsewhere < and | would be markup
    parts = re.split(r"(`[^`]*`)", joined)
    plain = (part if n % 2 else part.replace("<", "&lt;").replace("*", "\\*") for n, part in enumerate(parts))
    return "".join(plain).replace("|", "\\|")
