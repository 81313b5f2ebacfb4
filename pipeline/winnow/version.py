"""Which version of Winnow this is: of the checkout that it runs from, else of the installed distribution."""

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DISTRIBUTION = "winnow-corpus"


def winnow_version() -> str:
    """E.g. ``0.1.0``; ``unknown`` where the package lies alone, as Ray sends it to workers."""
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if project.is_file():
        text = project.read_text()
        found = re.search(r'^version = "([^"]+)"', text, re.MULTILINE)
        if found and f'name = "{DISTRIBUTION}"' in text:
            return found[1]
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
