"""YAML as configs are read: plain values only, and no setting twice in one section."""

from typing import Any

import yaml

_MERGE = "tag:yaml.org,2002:merge"


class RepeatedSettingError(ValueError):
    """A section names a setting twice; YAML readers would silently take the last."""


class _Loader(yaml.SafeLoader):
    """Looks at mappings as they are written: before merge keys (``<<``), which may well repeat a setting."""

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


def read_yaml(text: str) -> Any:
    """The values of a YAML document.

    Raises:
        yaml.YAMLError: it is not YAML.
        RepeatedSettingError: a section names a setting twice.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
