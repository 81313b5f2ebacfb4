"""Starting the command as a user does, and ending it as an accident does: by the ids that were started."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import yaml


def command(config: dict, path: Path, *more: str) -> list[str]:
    path.write_text(yaml.safe_dump(config))
    return [sys.executable, "-m", "jobs", "run", str(path), *more]


def kill_when(line: list[str], moment: Callable[[], bool], timeout_s: float = 240) -> bool:
    """Start the command and kill -9 it with every process below it at the given moment; False if it ended before."""
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + timeout_s
    while process.poll() is None and time.monotonic() < deadline and not moment():
        time.sleep(0.005)
    killed = process.poll() is None
    family = []
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
    for member in [*family, process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()
    return killed
