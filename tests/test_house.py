"""The house: which modules there are, and that no import goes in a circle. Layers: `make check` (lint-imports)."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "pipeline"
MODULES = {
    ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (SOURCES / "winnow").rglob("*.py")
}


def imported(path: Path) -> set[str]:
    """Modules of winnow that a module imports, deferred imports included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "winnow":
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & MODULES.keys()) or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & MODULES.keys()


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Modules that can reach themselves, by taking away, again and again, those that import nothing (left)."""
    left = {name: set(targets) for name, targets in edges.items()}
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    used = {target for targets in left.values() for target in targets}
    return [sorted(left.keys() & used)] if left else []


def test_no_circle():
    edges = {name: imported(path) - {name} for name, path in MODULES.items()}
    assert sum(map(len, edges.values())) > 500  # they were found
    assert circles(edges) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_few_modules_stand_at_the_root():
    roots = [path.name for path in (SOURCES / "winnow").glob("*.py") if path.name != "__init__.py"]
    assert len(roots) <= 10, roots


def test_every_package_says_what_it_is():
    for name, path in MODULES.items():
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert said, f"{name} has no docstring"
        if path.name == "__init__.py":
            assert "\n" not in said.split("\n\n")[0], f"{name}: say it in one line"


def test_every_package_has_its_layer():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    named = {name.strip().removeprefix("winnow.") for layer in layers for name in layer.split(":")}
    there = {path.stem for path in (SOURCES / "winnow").iterdir() if path.name != "__init__.py"} - {"__pycache__", "py"}
    assert named - {"jobs"} == there


def test_modules_stay_small():
    for name, path in MODULES.items():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, name


@pytest.mark.parametrize(
    ("module", "light"), [("winnow.config.config", {"numba", "ray", "torch"}), ("winnow.runs.status", {"numba", "ray"})]
)
def test_settings_and_status_load_no_kernels(module, light):
    code = f"import sys, {module}; loaded = set(sys.modules) & {light}; assert not loaded, loaded"
    subprocess.run([sys.executable, "-c", code], check=True)
