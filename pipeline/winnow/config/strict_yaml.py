"""YAML as configs are read: plain values only, and no setting twice in one section."""

import contextlib
import json
from typing import Any

import yaml

from winnow.config.yaml_scalars import RESOLVERS

_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"
MAX_DEPTH = 64
"""Sections and lists inside each other; settings need seven."""
MAX_VALUES = 1_000_000
"""Values of a document once every alias is written out."""


class Nothing:
    """Stands where a name has nothing behind its colon; ``null`` is something."""


NOTHING = Nothing()


class RepeatedSettingError(ValueError):
    """A section names a setting twice; YAML readers would silently take the last."""


class _Loader(yaml.SafeLoader):
    """Looks at mappings as they are written: before merge keys (``<<``), which may well repeat a setting."""

    yaml_implicit_resolvers = RESOLVERS
    depth = 0
    nothing: Any = None
    """The value of a name with nothing behind its colon."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Nothing at all is no ``null`` for who wants to know."""
        if isinstance(node, yaml.ScalarNode) and node.tag == _NULL and not node.value:
            return self.nothing
        return super().construct_object(node, deep)

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        """One deeper; PyYAML itself goes on until the interpreter gives up."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
            raise yaml.YAMLError(f"line {line}: over {MAX_DEPTH} levels inside each other, brackets included")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def get_single_node(self) -> yaml.Node | None:
        """The document, if it is no larger than it looks."""
        node: yaml.Node | None = super().get_single_node()
        if node is not None and _values(node, {}) > MAX_VALUES:
            raise yaml.YAMLError(f"its aliases (*name) stand for over {MAX_VALUES:,} values; write out what is meant")
        return node

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


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """Values in a node with every alias written out; each node is counted once."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in known:
        if known[id(node)] == 0:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: an alias (*name) stands inside what it names")
        return known[id(node)]
    known[id(node)] = 0  # being counted
    parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(node)]


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


def read_yaml(text: str, nothing: Any = None) -> Any:
    """The values of a YAML document, or of one in JSON (which may be indented with tabs, unlike YAML).

    Args:
        text: of the document.
        nothing: in place of nothing at all, where a value belongs.

    Raises:
        yaml.YAMLError: it is not YAML, or nested or repeated by aliases beyond what settings are.
        RepeatedSettingError: a section names a setting twice.
    """
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        with contextlib.suppress(json.JSONDecodeError, RecursionError):  # whatever else it is, YAML's reader tells
            return json.loads(text.lstrip("\ufeff"), object_pairs_hook=_once)
    loader = _Loader(text)
    loader.nothing = nothing
    try:
        return loader.get_single_data()
    except (yaml.YAMLError, RepeatedSettingError):
        raise
    except (
        ValueError,
        OverflowError,
        RecursionError,
        AttributeError,
    ) as error:  # 5,000 digits, a 13th month
        raise yaml.YAMLError(f"a value cannot be read: {error}; quote it if it is text") from error
    finally:
        loader.dispose()
