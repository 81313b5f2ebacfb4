"""Packages of other people: a file of ``outside/`` and the metadata that an installer would write beside it."""

import os
import shutil
import sys
from pathlib import Path

from winnow import registry as registries
from winnow.report.reports import REPORTS
from winnow.shards.documents.formats import TEXT_FORMATS
from winnow.shards.formats.formats import FORMATS
from winnow.sources.readers.registry import READERS, formats_by_suffix

OUTSIDE = Path(__file__).parent / "outside"


def install(site: Path, module: str, group: str, entries: dict[str, str], version: str = "1.0", code: str = "") -> None:
    """Put a distribution ``winnow-MODULE`` that brings entries ``name: object`` into a folder of Python's path."""
    site.mkdir(parents=True, exist_ok=True)
    (site / f"{module}.py").write_text(code or (OUTSIDE / f"{module}.py").read_text())
    name = f"winnow_{module}"
    for old in site.glob(f"{name}-*.dist-info"):
        shutil.rmtree(old)
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n")
    lines = [f"{entry} = {module}:{target}" for entry, target in entries.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")
    forget(module)


def forget(*modules: str) -> None:
    """As a new process: packages are looked for anew."""
    registries._installed.cache_clear()
    for registry in (READERS, FORMATS, REPORTS, TEXT_FORMATS):
        registry.__dict__.pop("_outside", None)
        for name in list(registry._loaded):
            if not registry.is_built_in(name):
                del registry._loaded[name]
    formats_by_suffix.cache_clear()
    for module in modules:
        sys.modules.pop(module, None)
    sys.path_importer_cache.clear()


def uninstall(site: Path) -> None:
    """Remove all that was installed."""
    modules = [path.stem for path in site.glob("*.py")]
    shutil.rmtree(site)
    site.mkdir()
    forget(*modules)


def environment(site: Path) -> dict[str, str]:
    """Of a process in which the packages of ``site`` are installed."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(site), os.environ["PYTHONPATH"]])}
