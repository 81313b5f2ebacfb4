"""Versions of the libraries that results depend on: they reach fingerprints and the manifest."""

import unicodedata
from importlib.metadata import version


def library_versions(*names: str) -> dict[str, str]:
    """Installed versions by distribution name; ``unicodedata`` is the interpreter's Unicode version."""
    return {name: unicodedata.unidata_version if name == "unicodedata" else version(name) for name in names}
