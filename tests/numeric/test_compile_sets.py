"""Sets of kernels: compiled once on a node, and by all processes at once."""

import os
import subprocess
import sys
import threading

import pytest

from winnow.numeric import jit
from winnow.numeric.file_lock import file_lock


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(jit, "CACHE_FOLDER", str(tmp_path))
    return tmp_path


def test_a_set_is_compiled_once(folder):
    calls = []
    assert not jit.is_compiled("a")
    jit.compile_once("a", lambda: calls.append("a"))
    jit.compile_once("a", lambda: calls.append("again"))
    assert calls == ["a"]
    assert jit.is_compiled("a")


def test_a_set_that_fails_is_not_compiled(folder):
    with pytest.raises(ValueError, match="broken"):
        jit.compile_once("a", lambda: (_ for _ in ()).throw(ValueError("broken")))
    assert not jit.is_compiled("a")


def test_what_another_process_is_at_comes_last(folder):
    calls, release = [], threading.Event()

    def other() -> None:
        with file_lock(folder / "a.lock"):
            begun.set()
            assert release.wait(20)
            (folder / "a.compiled").touch()

    begun = threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    begun.wait(20)

    def use_b() -> None:
        calls.append("b")
        release.set()

    jit.compile_all({"a": lambda: calls.append("a"), "b": use_b})
    thread.join()
    assert calls == ["b"]


@pytest.mark.slow
def test_the_sets_hold_every_kernel_of_a_default_run(tmp_path):
    """In a cache of its own: sets first, and then a whole run compiles nothing more."""
    code = """
from numba.core import event
from pathlib import Path
from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from winnow.config.config import parse_config
from winnow.runs.run import run
from winnow.stages import kernel_sets

compiled = []

class Listener(event.Listener):
    def on_start(self, event):
        compiled.append(event.data["dispatcher"].py_func.__qualname__)

    def on_end(self, event):
        pass

event.register("numba:compile", Listener())
kernel_sets.compile_now()
assert kernel_sets.are_compiled()
compiled.clear()
write_sample(Path("data"), 300)
run(parse_config(sample_config("data", "run", compute={"executor": "inline"})))
assert not compiled, compiled
"""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
