"""The starter config: every setting with its default and its meaning, written from the sections themselves."""

import textwrap
from collections.abc import Iterator
from typing import Any

import yaml

from winnow.config.config import Config
from winnow.section import Section, section_of
from winnow.sources.source import SourceConfig

_HEAD = """\
# A whole run of winnow. Start it with `winnow run {name}`; look first with `winnow plan {name}`.
# Lines that begin with "# " show defaults: take the mark away to change one.
"""
WIDTH = 110


def starter_config(name: str) -> str:
    """YAML text; valid as it is once the source's path exists."""
    lines = [_HEAD.format(name=name)]
    lines += _comment(Config.model_fields["run"].description)
    lines += ["run: runs/first", "", *_comment(Config.model_fields["sources"].description), "sources:"]
    lines += ["  - name: web", "    path: data/**/*.jsonl.zst"]
    for field in ("name", "path"):
        lines += _comment(SourceConfig.model_fields[field].description, "    ")
    lines += _settings(SourceConfig, "    ", skip=("name", "path"))
    for field, info in Config.model_fields.items():
        if field in ("run", "sources"):
            continue
        section = section_of(info.annotation)
        default = info.get_default(call_default_factory=True)
        lines += ["", *_comment(info.description)]
        if section is None:
            lines.append(f"# {field}: {_inline(default)}")
        elif default is None:
            lines += [f"# {field}: none", *_commented_twice(section)]
        else:
            lines += [f"# {field}:", *_settings(section, "  ")]
    return "\n".join(lines) + "\n"


def _settings(section: type[Section], indent: str, skip: tuple[str, ...] = ()) -> Iterator[str]:
    for name, info in section.model_fields.items():
        if name in skip:
            continue
        yield from _comment(info.description, indent)
        inner = section_of(info.annotation)
        default = info.get_default(call_default_factory=True)
        if info.is_required():
            yield f"# {indent}# {name}: (no default; to be given where the section is used)"
        elif inner is not None and default == ():  # a list of sections, empty
            yield f"# {indent}{name}: []"
            yield from _commented_twice(inner, indent)
        elif inner is not None and default is None:
            yield f"# {indent}{name}: off"
            yield from _commented_twice(inner, indent)
        elif inner is not None:
            yield f"# {indent}{name}:"
            yield from _settings(inner, indent + "  ")
        else:
            yield f"# {indent}{name}: {_inline(default)}"


def _commented_twice(section: type[Section], indent: str = "") -> Iterator[str]:
    """Settings of a section that is off: with one mark taken away they are still comments."""
    return (f"# {indent}# {line.removeprefix('# ')}" for line in _settings(section, "  "))


def _inline(value: Any) -> str:
    if isinstance(value, tuple):
        value = list(value)
    return yaml.safe_dump(value, default_flow_style=True, width=1_000).removesuffix("...\n").strip()


def _comment(text: str | None, indent: str = "") -> list[str]:
    if not text:
        return []
    joined = " ".join(text.split())
    return [f"# {indent}# {line}" for line in textwrap.wrap(joined, WIDTH - len(indent))]
