"""A config from its file: YAML to settings, with overrides of the command line."""

import logging
from pathlib import Path
from typing import Any

import yaml

from winnow.config.config import Config, parse_config
from winnow.config.strict_yaml import NOTHING, RepeatedSettingError, read_yaml
from winnow.config.written import whole_number, with_empty_sections
from winnow.config.yaml_mistakes import told
from winnow.errors import AddressError, ConfigError
from winnow.operators.places import place_operators
from winnow.storage.address import is_url, settled_path

log = logging.getLogger("winnow")


def load_config(path: str, overrides: list[str] | None = None, *, as_written: bool = False) -> Config:
    """Read a YAML config; ``overrides`` are ``a.b=value`` pairs, values in YAML.

    Args:
        path: of the file.
        overrides: in place of what the file says.
        as_written: leave ``~`` in paths, for a machine whose home folders are others.

    Raises:
        ConfigError: the file is missing, is not YAML, or a setting is wrong.
    """
    try:
        path = settled_path(path)
        content = Path(path).read_bytes()
    except AddressError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; name an existing config, or write one with `winnow init`"
        ) from error
    return read_config(content, path, overrides, as_written=as_written)


def read_config(content: bytes, path: str, overrides: list[str] | None = None, *, as_written: bool = False) -> Config:
    """A config from its YAML; ``path`` is how messages call it, ``as_written`` as for :func:`load_config`.

    Raises:
        ConfigError: it is not YAML, or a setting is wrong or given twice.
    """
    try:
        values = with_empty_sections(read_yaml(content.decode("utf-8"), NOTHING), Config)
    except RepeatedSettingError as error:
        raise ConfigError(f"{path}: {error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {told(error)}") from error
    if values is None:
        raise ConfigError(f"{path}: is empty; write its settings, or another file with `winnow init`")
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: {_no_settings(values)}")
    for change in overrides or []:
        override(values, change)
    place_operators(values, path.rpartition("/")[0] or ("/" if path.startswith("/") else "."))
    config = parse_config(values, path, as_written=as_written)
    if file := _file_in_the_way(config.run):
        raise ConfigError(
            f"{path}: run: {config.run}: {file} is not a folder, and a run needs one; point `run` to a folder, which "
            "may be a new one, or move the file"
        )
    _tell_of_thousands(values, path)
    for warning in config.warnings:
        log.warning("%s: %s", path, warning)
    return config


def with_overrides(config: Config, overrides: list[str]) -> Config:
    """A config with some other settings, given as on the command line.

    Raises:
        ConfigError: a setting is wrong.
    """
    values = config.model_dump(mode="json")
    for change in overrides:
        override(values, change)
    return parse_config(values, "--set")


def _tell_of_thousands(values: dict[str, Any], path: str) -> None:
    """A row length is mostly a power of two, and ``4k`` is a thousand everywhere else."""
    shards = values.get("shards")
    row = shards.get("sequence_tokens") if isinstance(shards, dict) else None
    if isinstance(row, str) and row[-1:] in ("k", "K"):
        log.warning(
            "%s: shards.sequence_tokens: %s is %s; %sKi is a power of two", path, row, whole_number(row), row[:-1]
        )


def _no_settings(values: Any) -> str:
    """What to do where a config holds no settings at its top."""
    if isinstance(values, str) and ":" in values:
        return "expected settings at the top level, found one text; put a space behind each colon, as in `run: runs/a`"
    if isinstance(values, list):
        return "expected settings at the top level, found a list; take out the - before them"
    return "expected settings at the top level, such as `run: runs/a`, found one value"


def _file_in_the_way(run: str) -> Path | None:
    """What stands, as no folder, where the run folder or one above it belongs."""
    if is_url(run):
        return None
    for place in (Path(run), *Path(run).parents):
        try:
            if place.is_dir():
                return None
            if place.exists() or place.is_symlink():
                return place
        except PermissionError:  # told by whoever needs the folder
            return None
    return None


def _no_place(at: Any) -> str:
    """Why nothing can be set there, and what can."""
    if not isinstance(at, list):
        return "lies under something that has no settings"
    names = [
        f"{n} ({item['name']})" if isinstance(item, dict) and "name" in item else str(n) for n, item in enumerate(at)
    ]
    return f"stands where the number of an item of a list is needed: {', '.join(names[:8])}"


def override(values: dict[str, Any], change: str) -> None:
    """Set one setting of a config's YAML, as ``--set`` has it: ``section.setting=value``, the value in YAML.

    Raises:
        ConfigError: it is none, or has no place.
    """
    name, equals, value = change.partition("=")
    if not equals:
        raise ConfigError(f"--set {change!r}: expected `section.setting=value`")
    *parents, last = name.split(".")
    at: Any = values
    for parent in parents:
        if isinstance(at, list) and parent.isdigit() and int(parent) < len(at):
            at = at[int(parent)]
            continue
        if not isinstance(at, dict):
            raise ConfigError(f"--set {change!r}: {parent!r} {_no_place(at)}")
        if not isinstance(at.get(parent), dict | list):
            at[parent] = {}
        at = at[parent]
    if not isinstance(at, dict):
        raise ConfigError(f"--set {change!r}: {last!r} {_no_place(at)}")
    try:
        at[last] = read_yaml(value)
    except RepeatedSettingError as error:
        raise ConfigError(f"--set {change!r}: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {change!r}: the value is not YAML: {told(error)}") from error
