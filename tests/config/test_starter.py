"""Starter configs: valid as they are, and whichever line is uncommented."""

import re

import jsonschema
import pytest
import yaml

from winnow.config.config import Config
from winnow.config.load import read_config
from winnow.config.starter import minimal_config, starter_config
from winnow.config.strict_yaml import read_yaml
from winnow.config.written import with_units
from winnow.errors import ConfigError
from winnow.section import section_of

LINES = starter_config("winnow.yaml").splitlines()
SETTING = re.compile(r"( *)#(- |  )?(\w+):")
"""A commented setting: prose has one space behind its mark."""
COMMENTED = [number for number, line in enumerate(LINES) if SETTING.match(line)]
NEEDED = "# needed"
WHAT_TO_DO = re.compile(
    "is missing; give it|not nothing|put a - before it|or leave (urls|line_rules) out|"
    "give weights or repeats|give .file., .http. or both"
)
"""Of a line that means nothing without others."""


def uncommented(*numbers: int) -> str:
    return "\n".join(line.replace("#", "", 1) if n in numbers else line for n, line in enumerate(LINES))


def bare(*numbers: int) -> str:
    """The same without what is still a comment, which takes YAML's reader long."""
    return "\n".join(line for line in uncommented(*numbers).splitlines() if not line.lstrip().startswith("#"))


def test_it_is_valid_as_it_is_and_says_the_defaults():
    plain = read_config(uncommented().encode(), "c.yaml")
    assert plain == read_config(b"run: runs/first\nsources: [{name: web, path: data/**/*.jsonl.zst}]", "c.yaml")
    on = [n for n in COMMENTED if not LINES[n].endswith(NEEDED) and not _in_what_is_off(n)]
    assert len(on) > 150
    assert read_config(uncommented(*on).encode(), "c.yaml") == plain


def _in_what_is_off(number: int) -> bool:
    """Whether a setting stands in a section that is off, or in an item of an empty list."""
    depth = len(SETTING.match(LINES[number])[1])
    for line in reversed(LINES[:number]):
        found = re.match(r"( *)(?:- )?\w+:", line)
        if found and len(found[1]) < depth:
            if line.endswith(("# off", "# a list: none")):
                return True
            depth = len(found[1])
    return False


def test_every_setting_stands_there():
    def settings(section, place=()):
        for name, info in section.model_fields.items():
            yield (*place, name)
            if inner := section_of(info.annotation):
                yield from settings(inner, (*place, name))

    found, stack = set(), []
    for line in LINES:
        line = re.sub(r"^( *)#( {2,})#(?=\w+:)", r"\1  \2", line)  # a setting of a section in an item
        match = re.match(r"( *)#?(- |  (?=\w+:))?(\w+):", line.replace("  - name: web", "    name: web"))
        if match and not re.match(r" *# \S", line):
            depth = len(match[1]) + 2 * bool(match[2])
            stack = [entry for entry in stack if entry[0] < depth] + [(depth, match[3])]
            found.add(tuple(name for _, name in stack))
    assert found == set(settings(Config))


def test_each_line_can_be_uncommented_alone():
    """No line breaks the YAML; what is then no valid config is told by the setting that is missing or has no value."""
    assert len(COMMENTED) > 200
    for number in COMMENTED:
        try:
            read_config(bare(number).encode(), "c.yaml")
        except ConfigError as error:
            assert WHAT_TO_DO.search(str(error)), (LINES[number], str(error))


def test_each_section_can_be_uncommented_alone():
    heads = [n for n, line in enumerate(LINES) if re.match(r" *\w+:(  #.*)?$", line)]
    assert len(heads) > 30
    for head in heads:
        depth = len(LINES[head]) - len(LINES[head].lstrip())
        end = next((n for n in range(head + 1, len(LINES)) if _depth(LINES[n]) <= depth), len(LINES))
        try:
            read_config(bare(*(n for n in COMMENTED if head < n < end)).encode(), "c.yaml")
        except ConfigError as error:
            assert "YAML:" not in str(error)
            needs = any(NEEDED in line or "[]" in line for line in LINES[head:end])
            assert needs or WHAT_TO_DO.search(str(error)), (LINES[head], str(error))


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip()) if line.strip() else 1000


def test_everything_can_be_uncommented():
    read_yaml(uncommented(*COMMENTED))


def test_a_setting_of_a_section_that_is_off_switches_it_on():
    (number,) = (n for n, line in enumerate(LINES) if "#terminal_punctuation:" in line)
    config = read_config(uncommented(number).encode(), "c.yaml")
    assert config.measure.line_rules is not None
    assert config.measure.line_rules.c4 is not None
    assert config.measure.line_rules.navigation is None
    assert config.select is None


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("dedup:", True), ("dedup: # nothing", True), ("dedup:\n  minhash:\n  guard:", True), ("dedup: null", False),
        ("dedup: ~", False), ("dedup: off", False), ("select:", False), ("select:\n  encoder:", False),
        ("select: {}", True), ("select:\n  encoder: {}", True),
    ],
)  # fmt: skip
def test_a_section_with_nothing_in_it_has_its_defaults(text, on):
    config = read_config(f"run: r\nsources: [{{name: a, path: x}}]\n{text}\n".encode(), "c.yaml")
    assert (getattr(config, text.partition(":")[0]) is not None) == on


def test_a_setting_with_nothing_behind_it_is_still_told():
    for text, told in (
        ("run: r\nshards: {shard_mb: }", "leave the line out"),
        ("run:", "run: expected text, not nothing"),
    ):
        with pytest.raises(ConfigError, match=told):
            read_config(f"sources: [{{name: a, path: x}}]\n{text}\n".encode(), "c.yaml")
    with pytest.raises(ConfigError, match=r"sources: is missing"):
        read_config(b"run: r\nsources:\n", "c.yaml")
    with pytest.raises(ConfigError, match="is empty"):
        read_config(b"---\n", "c.yaml")


def test_a_section_that_is_off_with_settings_below_says_what_to_do():
    text = uncommented().replace("dedup:  # on", "dedup: off  # on")
    with pytest.raises(ConfigError, match="`dedup` is off, and has settings below: put # before those"):
        read_config(text.encode(), "c.yaml")


def test_editors_take_the_starter_config():
    schema = with_units(Config.model_json_schema())
    jsonschema.validate(yaml.safe_load(uncommented()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(uncommented()) | {"measure": 5}, schema)


def test_ten_lines_are_a_config():
    text = minimal_config("c.yaml")
    assert len(text.splitlines()) == 10
    assert all(len(line) <= 120 for line in text.splitlines())
    config = read_config(text.encode(), "c.yaml")
    assert (config.shards.sequence_tokens, config.shards.splits, config.dedup.threshold) == (2048, {"val": 0.01}, 0.8)
    assert all(len(line) <= 120 for line in LINES)
