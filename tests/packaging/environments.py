"""Python environments that borrow what Winnow depends on from that of the tests, and Winnow itself from nowhere."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy

ROOT = Path(__file__).parents[2]
DEPENDENCIES = Path(numpy.__file__).parents[1]
"""The folder of installed packages."""


def environment_without_winnow(folder: Path) -> Path:
    """An environment in which dependencies can be imported and Winnow cannot; returns its Python.

    Its site-packages hold one line that points to the real ones: what lies there is found, but ``.pth`` files there are
    not read, and an editable installation is nothing more than such a file. Commands of dependencies (``ray``) are
    beside it.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(f"{DEPENDENCIES}\n")
    ray = folder / "bin" / "ray"
    ray.write_text(f"#!{python}\nimport sys\nfrom ray.scripts.scripts import main\nsys.exit(main())\n")
    ray.chmod(0o755)
    return python


def plain_environment(python: Path | None = None) -> dict[str, str]:
    """Environment variables without ``PYTHONPATH``; the Python given comes first in ``PATH``."""
    found = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return found | {"PATH": f"{(python or Path(sys.executable)).parent}:{found['PATH']}"}


def output_of(line: list[str], cwd: Path, environment: dict[str, str]) -> str:
    """What a command prints; it must end with 0."""
    done = subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
