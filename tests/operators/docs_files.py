"""The files of docs/extending.md: the page's code blocks, by the name in their first line."""

import re
import tomllib
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "extending.md"
_BLOCK = re.compile(r"^```(python|yaml|toml)\n# (\S+\.(?:py|yaml|toml))\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def files() -> dict[str, str]:
    """Name -> content, without the line that names it."""
    return {name: content for _, name, content in _BLOCK.findall(PAGE.read_text())}


def write(folder: Path) -> None:
    """All of them into a folder."""
    for name, content in files().items():
        (folder / name).write_text(content)


def install(folder: Path) -> None:
    """What `pip install` would do of the page's package: its metadata beside it, for the import system to find."""
    project = tomllib.loads(files()["pyproject.toml"])["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = ""
    for group, named in project["entry-points"].items():
        points += f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in named.items())
    (info / "entry_points.txt").write_text(points)
