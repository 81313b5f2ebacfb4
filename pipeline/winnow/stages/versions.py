"""Versions of the libraries that results depend on: they reach fingerprints and the manifest."""

import unicodedata
from collections.abc import Iterable
from importlib.metadata import version

from winnow.shards.formats.formats import FORMATS
from winnow.version import DISTRIBUTION, winnow_version


def format_versions(names: Iterable[str]) -> dict[str, str]:
    """Packages that bring shard formats, with their versions; nothing for built in formats."""
    found = {name: FORMATS.origin(name) for name in names}
    return {f"shard format {name}": origin["package"] for name, origin in found.items() if origin is not None}


def library_versions(*names: str) -> dict[str, str]:
    """Installed versions by distribution name; ``unicodedata`` is the interpreter's Unicode version."""
    special = {"unicodedata": unicodedata.unidata_version, DISTRIBUTION: winnow_version()}
    return {name: special[name] if name in special else version(name) for name in names}
