"""Starter configs: every setting with its default and its meaning, written from the sections themselves; or ten lines.

Names of sections stand there uncommented, with nothing in them, which means their defaults: so any setting, at any
depth, is changed by taking away the mark of its own line.
"""

import textwrap
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic.fields import FieldInfo

from winnow.config.config import Config
from winnow.section import Section, section_of
from winnow.sources.source import SourceConfig

_HEAD = """\
# A whole run of winnow. Start it with `winnow run {name}`; look first with `winnow plan {name}`.
# Lines like `#name: value` show defaults: take the # away to change one. A section with nothing in it has its defaults;
# one marked `off` is off until something stands in it.
"""
_MINIMAL = """\
# Clean, deduplicate, tokenise and shuffle your text. Start it with `winnow run {name}`.
# Every other setting, its default and its meaning: `winnow init all.yaml`.
run: runs/first                      # everything that is made lies in this folder
sources:
  - name: mine
    path: "data/**/*.jsonl"          # your files: also .parquet .csv .txt .html .warc.gz .zst ...
    text: text                       # the field, or column, with the text
dedup: {{threshold: 0.8}}              # word 5-grams that two texts must share for one of them to go
tokenise: {{encoding: o200k_base}}     # or cl100k_base, gpt2, a .tiktoken file, a tokenizer.json
shards: {{sequence_tokens: 2048, splits: {{val: 0.01}}}}
"""
WIDTH = 110


def minimal_config(name: str) -> str:
    """YAML text of ten lines; runs as it is once the source's path holds files."""
    return _MINIMAL.format(name=name)


def starter_config(name: str) -> str:
    """YAML text; valid as it is once the source's path exists."""
    lines = [_HEAD.format(name=name)]
    lines += _comment(Config.model_fields["run"].description)
    lines += ["run: runs/first", "", *_comment(Config.model_fields["sources"].description), "sources:"]
    for field in ("name", "path"):
        lines += _comment(SourceConfig.model_fields[field].description, "  ")
    lines += ["  - name: web", "    path: data/**/*.jsonl.zst"]
    lines += _settings(SourceConfig, "    ", skip=("name", "path"))
    for field, info in Config.model_fields.items():
        if field not in ("run", "sources"):
            lines += ["", *_setting(field, info, "")]
    return "\n".join(lines) + "\n"


def _settings(section: type[Section], indent: str, skip: tuple[str, ...] = ()) -> Iterator[str]:
    for name, info in section.model_fields.items():
        if name not in skip:
            yield from _setting(name, info, indent)


def _setting(name: str, info: FieldInfo, indent: str) -> Iterator[str]:
    """What one setting means, and its line; of a section, those of its settings, too."""
    yield from _comment(info.description, indent)
    inner = section_of(info.annotation)
    default = () if info.is_required() and inner else info.get_default(call_default_factory=True)
    if inner is None:
        yield f"{indent}#{name}:  # needed" if info.is_required() else f"{indent}#{name}: {_inline(default)}"
    elif "tuple" in str(info.annotation):
        yield f"{indent}{name}:  # a list: none"
        yield from _item(inner, indent + "  ")
    else:
        yield f"{indent}{name}:{_state(info, inner, default)}"
        yield from _settings(inner, indent + "  ")


def _state(info: FieldInfo, inner: type[Section], default: Any) -> str:
    """What is said beside the name of a section that can be on or off."""
    if default is None:
        return "  # off"
    if type(None) not in getattr(info.annotation, "__args__", ()):
        return ""
    below = any(section_of(field.annotation) for field in inner.model_fields.values())
    return "  # on; for `off`, put # before the names of sections in it, too" if below else "  # on; or `off`"


def _item(section: type[Section], indent: str) -> Iterator[str]:
    """An item of a list, its first setting behind a dash."""
    first = True
    for line in _settings(section, ""):
        if line.startswith("# "):
            yield indent + line
            continue
        yield f"{indent}#{'- ' if first else '  '}{line.removeprefix('#')}"
        first = False


def _inline(value: Any) -> str:
    if isinstance(value, tuple):
        value = list(value)
    return yaml.safe_dump(value, default_flow_style=True, width=1_000).removesuffix("...\n").strip()


def _comment(text: str | None, indent: str = "") -> list[str]:
    if not text:
        return []
    joined = " ".join(text.split())
    return [f"{indent}# {line}" for line in textwrap.wrap(joined, WIDTH - len(indent))]
