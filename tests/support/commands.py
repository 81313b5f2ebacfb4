"""The command line, as users and schedulers meet it."""

import logging
from functools import cache

import typer.testing
from typer.testing import CliRunner

from jobs.__main__ import app

typer.testing._get_command = cache(typer.testing._get_command)  # 10 ms, for each command that a test gives


def winnow(*arguments: str) -> tuple[int, str]:
    """A command, run in this process: its exit code and what it printed."""
    result = CliRunner().invoke(app, list(arguments))
    logging.getLogger("winnow").handlers = []  # they write to the runner's stream, which is closed now
    return result.exit_code, result.output
