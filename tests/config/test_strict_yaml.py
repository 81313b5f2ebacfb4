"""YAML that is larger or deeper than settings ever are: a message, never the machine's memory or a traceback."""

import time

import pytest
import yaml

from jobs.plan_cluster import _node_table
from winnow.config.config import parse_config
from winnow.config.load import read_config
from winnow.config.strict_yaml import MAX_DEPTH, read_yaml
from winnow.errors import ConfigError

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12))
HOSTILE = {
    "aliases": BOMB,
    "aliases of mappings": BOMB.replace("[x, x, x, x, x, x, x, x, x, x]", "{x: y}"),
    "merge keys": MERGES,
    "an alias of itself": "a: &a [*a]\n",
    "brackets": "a: " + "[" * 3000 + "]" * 3000,
    "braces": "a: " + "{b: " * 3000 + "}" * 3000,
    "open brackets": "[" * 3000,
    "dashes": "- " * 3000 + "x",
    "explicit keys": "? " * 3000 + "x",
    "a number": "a: " + "9" * 5000,
    "a key that is a list": "? [a, [b]]\n: c",
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_yaml_is_refused_with_the_files_name(name):
    begin = time.monotonic()
    with pytest.raises(ConfigError, match="bad.yaml: "):
        read_config(HOSTILE[name].encode(), "bad.yaml")
    with pytest.raises(ConfigError, match="--set"):
        good = b"run: /tmp/x\nsources: [{name: a, path: b}]\n"
        read_config(good, "good.yaml", ["measure=" + HOSTILE[name].replace("\n", "\n  ")])
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("name", list(HOSTILE))
def test_node_types_are_read_as_carefully(name, tmp_path):
    (tmp_path / "nodes.yaml").write_text(HOSTILE[name])
    with pytest.raises(ConfigError, match=r"nodes\.yaml"):
        _node_table(tmp_path / "nodes.yaml")


def test_ordinary_aliases_merges_and_depths_are_read():
    assert read_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]") == {
        "a": {"x": 1},
        "b": {"x": 1, "y": 2},
        "c": [{"x": 1}, {"x": 1}],
    }
    deep = MAX_DEPTH - 1
    assert read_yaml("[" * deep + "]" * deep) is not None
    with pytest.raises(yaml.YAMLError, match="levels inside each other"):
        read_yaml("[" * (deep + 2) + "]" * (deep + 2))
    assert parse_config({"run": "/tmp/x", "sources": [{"name": "a", "path": "b"}]}).run == "/tmp/x"
