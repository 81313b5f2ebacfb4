"""A copy of the checkout to break: its files, a cache of compiled kernels of its own, and tests run in it."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.breaks.change import SOURCE_ROOTS, Break, file_of

ROOT = Path(__file__).resolve().parents[2]
FAST = "not slow and not longest"
COMPILED = "winnow.numeric.kernel_files"
"""The module that says where compiled kernels are kept."""
_COMPILES = ("@kernel", "@inline_kernel", "njit")

_started: set[subprocess.Popen] = set()
_lock = threading.Lock()


@dataclass(frozen=True)
class Outcome:
    """How a run of tests ended."""

    code: int | None
    """Exit code of pytest; None: it was ended after the time limit."""
    failed: tuple[str, ...]
    seconds: float
    output: str


class Checkout:
    """A copy in which one break at a time stands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "checkout"
        self.breaks = 0
        """How many were put into this copy so far."""
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        ).stdout
        for name in filter(None, listed.decode().split("\0")):
            if (ROOT / name).is_file():  # one that was removed is listed, too
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        if (ROOT.parent / "shared").is_dir():  # where tests look for shared data: beside the checkout
            (folder / "shared").symlink_to(ROOT.parent / "shared")

    @property
    def environment(self) -> dict[str, str]:
        """In which this copy is what Python imports, from any folder."""
        roots = [self.root / name for name in SOURCE_ROOTS]
        roots = [root for root in roots if not (root / "__init__.py").exists()]  # else it is a package, not a root
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(root.resolve()) for root in roots),
            "NUMBA_CACHE_DIR": str(self.folder / "kernels"),
        }

    def imported(self, modules: Iterable[str]) -> dict[str, Path]:
        """From which file Python would import each module."""
        code = (
            "import importlib.util, sys\nfor name in sys.argv[1:]: print(name, importlib.util.find_spec(name).origin)"
        )
        lines = subprocess.run(
            [sys.executable, "-c", code, *modules],
            cwd=self.folder,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        return {name: Path(file) for name, file in (line.split(" ", 1) for line in lines.splitlines())}

    @contextmanager
    def broken(self, change: Break) -> Iterator[None]:
        """Inside, the break stands in the copy.

        Python and numba know what they compiled by the time of change, in whole seconds, and the size of the file.
        So each break has a time that no other has, or what was compiled a moment before would be run for it; and the
        file is given back its own afterwards, for which what was compiled before counts again.
        """
        file = file_of(self.root, change.module)
        text, before = file.read_text(), file.stat()
        compiled = kernels = self._compiled
        file.write_text(text.replace(change.old, change.new))
        self.breaks += 1
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + self.breaks * 1_000_000_000))
        try:
            kernels = self._kernel_folder()
            if kernels != compiled and not any(word in text for word in _COMPILES):
                shutil.copytree(compiled, kernels, dirs_exist_ok=True)
            yield
        finally:
            file.write_text(text)
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
            if kernels != compiled:
                shutil.rmtree(kernels, ignore_errors=True)

    @cached_property
    def _compiled(self) -> Path:
        """What was compiled of the unbroken code."""
        return self._kernel_folder()

    def _kernel_folder(self) -> Path:
        """Where the copy, as it is now, keeps compiled kernels: named by the sources of all packages that hold some.

        A break in one of these packages would so have every kernel compiled anew, for most of a minute. Where the
        broken module compiles nothing itself, what is compiled of the others still holds.
        """
        code = f"import {COMPILED} as module; print(module.CACHE_FOLDER)"
        line = [sys.executable, "-c", code]
        told = subprocess.run(
            line, cwd=self.folder, env=self.environment, check=True, capture_output=True, text=True
        ).stdout
        return Path(told.strip())

    def test(self, tests: Iterable[str], seconds: float, *options: str) -> Outcome:
        """Run fast tests in this copy, for so long at most."""
        line = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "-m", FAST]
        line += [f"--basetemp={self.folder / 'tests'}", *options, *tests]
        began = time.monotonic()
        process = subprocess.Popen(
            line,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        with _lock:
            _started.add(process)
        try:
            output, _ = process.communicate(timeout=seconds)
            code = process.returncode
        except subprocess.TimeoutExpired:
            _end(process)
            output, code = process.communicate()[0], None
        finally:
            with _lock:
                _started.discard(process)
        failed = [line.split(" ")[1] for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        return Outcome(code, tuple(failed), time.monotonic() - began, output)


def _end(process: subprocess.Popen) -> None:
    """End a test process and those it started, which are in a session of their own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def end_all() -> None:
    """End every test process that still runs."""
    with _lock:
        for process in _started:
            _end(process)
