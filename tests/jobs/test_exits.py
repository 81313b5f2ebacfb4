import os
import subprocess
import sys
from pathlib import Path

import pytest

START = "from jobs.exit_codes import true_exit_codes, leave\nfrom rich.console import Console\n"


def ended(code: str, *, read: bool = True) -> tuple[int, str]:
    """Exit code and stderr of a program whose stdout somebody, or nobody, reads."""
    reader, writer = os.pipe()
    if not read:
        os.close(reader)
    root = Path(__file__).resolve().parents[2]
    env = os.environ | {"PYTHONUNBUFFERED": ""}  # so that prints wait in a buffer
    done = subprocess.run([sys.executable, "-c", START + code], stdout=writer, stderr=-1, text=True, cwd=root, env=env)
    os.close(writer)
    if read:
        os.close(reader)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "with true_exit_codes():\n    print('x', flush=True)",
        "with true_exit_codes():\n    print('x' * 100_000)",
        "with true_exit_codes():\n    Console().print('x')",
        "with true_exit_codes():\n    print('x')\n    leave(0)",
        "with true_exit_codes():\n    print('x')\nleave(0)",
        "with true_exit_codes():\n    print('x')",
    ],
)
def test_a_reader_that_had_enough_is_no_error(code):
    assert ended(code, read=False) == (141, "")


def test_other_codes_and_messages_stay_when_nobody_reads_stdout():
    raising = "print('x')\nwith true_exit_codes():\n    raise {}"
    assert ended(raising.format("OSError('no disk')"), read=False) == (1, "winnow: no disk\n")
    assert ended("print('x')\nleave(2)", read=False) == (2, "")
    assert ended(raising.format("BrokenPipeError('of a server')")) == (1, "winnow: of a server\n")
