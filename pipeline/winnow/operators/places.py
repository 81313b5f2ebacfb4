"""Paths of operators and of their settings, and of the model of languages, taken from the folder of the config, as soon
as it is read."""

import re
from pathlib import Path
from typing import Any

from winnow.errors import AddressError, ConfigError
from winnow.operators.files import FOLDER, is_path
from winnow.storage.address import is_url, join, settled_path

_PUBLISHED = re.compile(rf"{FOLDER}/[0-9a-f]{{32}}/")


def place_operators(values: dict[str, Any], folder: str) -> None:
    """Make paths of operators and of their settings absolute, in plain settings; what is no path stays.

    Args:
        values: of the whole config, changed in place.
        folder: of the config; a path, or an address.

    Raises:
        ConfigError: ``~`` stands for no home folder that is known.
    """
    measure, sources = values.get("measure"), values.get("sources")
    operators, language = (measure.get(key) if isinstance(measure, dict) else None for key in ("operators", "language"))
    if isinstance(language, dict) and isinstance(model := language.get("model"), str):
        settled = _settled("measure.language: model", model)
        language["model"] = _existing(settled, folder) or model
    entries = list(operators) if isinstance(operators, list) else []
    entries += [s.get("extract") for s in sources if isinstance(s, dict)] if isinstance(sources, list) else []
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        for key, value in entry.items():
            if key in ("name", "pinned") or not is_path(value):
                continue
            where = f"measure.operators: {key}"
            if key == "use":
                path, colon, name = value.rpartition(":")
                if path.endswith(".py"):
                    entry[key] = f"{_placed(_settled(where, path), folder)}{colon}{name}"
                continue
            settled = _settled(where, value) if value.startswith("~/") else value
            if (placed := _existing(settled, folder)) is not None:
                entry[key] = placed


def _settled(key: str, path: str) -> str:
    try:
        return settled_path(path)
    except AddressError as error:
        raise ConfigError(f"{key}: {error}") from error


def _placed(path: str, folder: str) -> str:
    if is_url(path) or path.startswith("/"):
        return path
    return join(folder, path) if is_url(folder) else str((Path(folder) / path).absolute())


def _existing(value: str, folder: str) -> str | None:
    """The setting as an absolute path, where it names something; the config of a run names what the run published."""
    if is_url(value):
        return None
    if is_url(folder):
        return join(folder, value) if _PUBLISHED.match(value) else None
    try:
        path = Path(folder) / value
        return str(path.absolute()) if path.exists() else None
    except (OSError, ValueError):  # too long for a name, or with a NUL: a text
        return None
