"""numba is loaded by the first kernel that is called; what kernels call is then numba's own."""

import subprocess
import sys
import threading

import numpy as np

from winnow.numeric.jit import Deferred, kernel

MODULE = """
from winnow.numeric.jit import inline_kernel, kernel

@inline_kernel
def one_more(number):
    return number + 1

@kernel
def raised(numbers):
    "What it does."
    total = 0
    for number in numbers:
        total += one_more(number)
    return total
"""


def test_what_a_run_imports_loads_neither_numba_nor_pandas():
    """A driver that leaves the work to others never needs them: half a second of every command."""
    code = (
        "import sys, winnow.runs.run, winnow.stages.kernel_sets, winnow.sources.readers.jsonl; "
        "print([name for name in ('numba', 'scipy', 'pandas', 'awkward') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_kernel_puts_itself_and_what_it_calls_in_place(tmp_path):
    path = tmp_path / "kernels.py"  # numba keeps what it compiles by the file
    path.write_text(MODULE)
    module = {"__name__": "kernels"}
    exec(compile(MODULE, str(path), "exec"), module)
    first = module["raised"]
    assert isinstance(first, Deferred)
    assert (first.__name__, first.__doc__) == ("raised", "What it does.")
    assert first(np.arange(3)) == 6
    assert [type(module[name]).__name__ for name in ("raised", "one_more")] == ["CPUDispatcher"] * 2
    assert first(np.arange(4)) == 10  # who imported it before goes on with the deferred one
    assert len(first.signatures) == 1


def test_kernels_in_a_closure():
    def counted(step):
        @kernel
        def count(numbers):
            total = 0
            for number in numbers:
                total += step(number)
            return total

        return count

    @kernel
    def doubled(number):
        return 2 * number

    count = counted(doubled)
    assert count(np.arange(4)) == 12
    assert count(np.arange(5)) == 20


def test_one_object_is_made_by_whichever_threads_ask_first():
    asked, made, begin = [], [], threading.Barrier(4)

    def make():
        made.append(object())
        return made[-1]

    deferred = Deferred(make)

    def ask():
        begin.wait()
        asked.append(deferred.made())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert asked == made * 4


def test_kernels_that_call_each_other_find_each_other():
    def even(number):
        return number == 0 or odd_one(number - 1)

    def odd(number):
        return number != 0 and even_one(number - 1)

    deferred = kernel(even), kernel(odd)
    even_one, odd_one = deferred
    deferred[0].made()
    assert (even_one, odd_one) == (deferred[0].made(), deferred[1].made())
    assert even_one.py_func is even
