"""Packages of other people: a file of ``outside/`` and the metadata that an installer would write beside it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUTSIDE = Path(__file__).parent / "outside"


def install(folder: Path, module: str, group: str, entries: dict[str, str], version: str = "1.0") -> Path:
    """A folder for ``PYTHONPATH`` in which a distribution ``winnow-MODULE`` brings entries ``name: object``."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(OUTSIDE / f"{module}.py", folder)
    name = f"winnow_{module}"
    for old in folder.glob(f"{name}-*.dist-info"):
        shutil.rmtree(old)
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n")
    lines = [f"{entry} = {module}:{target}" for entry, target in entries.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")
    return folder


def winnow(site: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command where the packages of ``site`` are installed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), os.environ["PYTHONPATH"]])}
    done = subprocess.run(
        [sys.executable, "-m", "jobs", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr
