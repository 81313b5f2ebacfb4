"""YAML as configs are read: plain values only, and no setting twice in one section."""

import contextlib
import json
from typing import Any

import yaml

from winnow.config.yaml_scalars import RESOLVERS

_MERGE = "tag:yaml.org,2002:merge"


class RepeatedSettingError(ValueError):
    """A section names a setting twice; YAML readers would silently take the last."""


class _Loader(yaml.SafeLoader):
    """Looks at mappings as they are written: before merge keys (``<<``), which may well repeat a setting."""

    yaml_implicit_resolvers = RESOLVERS

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            line = key.start_mark.line + 1
            if before := lines.get((key.tag, key.value)):
                where = f"twice in line {line}" if before == line else f"in line {before} and again in line {line}"
                raise RepeatedSettingError(f"{key.value!r} is given {where} of one section; keep one of them")
            lines[key.tag, key.value] = line
        return node


class _Dumper(yaml.SafeDumper):
    """Puts in quotes what either YAML would read as more than text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the base class has it
        first: [*RESOLVERS.get(first, []), *yaml.SafeDumper.yaml_implicit_resolvers.get(first, [])]
        for first in {*RESOLVERS, *yaml.SafeDumper.yaml_implicit_resolvers}
    }


def write_yaml(values: Any) -> bytes:
    """Values as a YAML document, which :func:`read_yaml` and other readers take back as they are."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False).encode()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise RepeatedSettingError(f"{name!r} is given twice in one section; keep one of them")
    return dict(pairs)


def read_yaml(text: str) -> Any:
    """The values of a YAML document, or of one in JSON (which may be indented with tabs, unlike YAML).

    Raises:
        yaml.YAMLError: it is not YAML.
        RepeatedSettingError: a section names a setting twice.
    """
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        with contextlib.suppress(json.JSONDecodeError, RecursionError):  # whatever else it is, YAML's reader tells
            return json.loads(text.lstrip("\ufeff"), object_pairs_hook=_once)
    return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
