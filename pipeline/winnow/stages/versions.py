"""Versions of the libraries that results depend on: they reach fingerprints and the manifest."""

import unicodedata
from importlib.metadata import version

from winnow.version import DISTRIBUTION, winnow_version


def library_versions(*names: str) -> dict[str, str]:
    """Installed versions by distribution name; ``unicodedata`` is the interpreter's Unicode version."""
    special = {"unicodedata": unicodedata.unidata_version, DISTRIBUTION: winnow_version()}
    return {name: special[name] if name in special else version(name) for name in names}
