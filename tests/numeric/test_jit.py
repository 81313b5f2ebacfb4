"""Compiled kernels are kept: a second process compiles nothing, and other sources find nothing of these."""

import os
import subprocess
import sys

import pytest

CODE = """
import numpy as np
from winnow.numeric import jit
from winnow.text.characters import class_of
some = np.arange(256, dtype=np.uint16)
assert class_of(some, some, 3) == 3
print(sum(class_of.stats.cache_misses.values()), jit.CACHE_FOLDER)
"""


@pytest.fixture
def process(tmp_path):
    def run() -> tuple[int, str]:
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
        told = subprocess.run(
            [sys.executable, "-c", CODE], env=environment, check=True, capture_output=True, text=True
        ).stdout
        return int(told.split()[0]), told.split()[1]

    return run


def test_a_second_process_compiles_nothing(process, tmp_path):
    misses, folder = process()
    assert misses == 1
    assert folder.startswith(str(tmp_path / "kernels"))
    assert process() == (0, folder)


SHARED_OUT = """
import sys, time
from winnow.numeric.jit import compile_each

def use(name):
    time.sleep(0.4)
    print(name, flush=True)

print("ready", flush=True)
sys.stdin.readline()
compile_each({name: lambda name=name: use(name) for name in "abcd"})
print("done", flush=True)
"""


def test_sets_of_kernels_are_shared_out_among_processes_and_compiled_once(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    command = [sys.executable, "-c", SHARED_OUT]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    told = []
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        out, _ = process.communicate(timeout=60)
        *mine, last = out.split()
        assert last == "done"
        told.append(mine)
    assert sorted(told[0] + told[1]) == ["a", "b", "c", "d"]
    assert told[0] and told[1]
