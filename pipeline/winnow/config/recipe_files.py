"""Configs for common tasks, each a file of ``config/recipes`` that says what it follows and where it differs."""

from pathlib import Path

from winnow.errors import ConfigError
from winnow.suggest import meant_or_known

_FOLDER = Path(__file__).parent / "recipes"


def recipe_names() -> list[str]:
    """Names of all recipes."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def recipe_files(name: str) -> dict[str, str]:
    """Content by file name: the config first, then the operators that stand beside it (kept here as ``.py.txt``: they
    are users' code, and no modules of this package).

    Raises:
        ConfigError: there is no such recipe.
    """
    path = _FOLDER / f"{name}.yaml"
    if name not in recipe_names():
        raise ConfigError(f"--recipe {name}: no such recipe; {meant_or_known(name, recipe_names())}")
    config = path.read_text(encoding="utf-8")
    beside = [file for file in sorted(_FOLDER.glob("*.py.txt")) if f"{file.stem}:" in config]
    return {path.name: config} | {file.stem: file.read_text(encoding="utf-8") for file in beside}
