"""Examples of docs/looking.md: settings that the config takes, commands and options that there are."""

import re
from pathlib import Path

import pytest
import typer
import yaml

from jobs.__main__ import app
from tests.support.configs import unread_config
from winnow.config.config import parse_config

TEXT = (Path(__file__).parents[2] / "docs" / "looking.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)


def settings():
    """Each example as it stands, and each line that is commented out in place of the one above it."""
    for kind, text in BLOCKS:
        if kind == "yaml":
            yield from (line.removeprefix("# ") for line in text.splitlines())


@pytest.mark.parametrize("line", settings())
def test_settings(line):
    given = yaml.safe_load(line)
    assert given and parse_config(unread_config(**given))


@pytest.mark.parametrize("line", re.findall(r"^winnow [^\n]*", "\n".join(t for k, t in BLOCKS if not k), re.MULTILINE))
def test_commands(line):
    words = line.partition(" |")[0].partition(" #")[0].split()[1:]
    command = typer.main.get_command(app).commands[words[0]]
    known = {name for parameter in command.params for name in parameter.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known
