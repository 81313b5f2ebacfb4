"""What operators cost those who do not use them, and what their package may not know."""

import subprocess
import sys

import pytest

import winnow


def test_the_decorators_load_nothing_heavy():
    code = (
        "import sys, winnow\n"
        "@winnow.signal\n"
        "def one(batch): return 1\n"
        "heavy = {'ray', 'numba', 'pyarrow', 'numpy', 'pydantic'} & set(sys.modules); assert not heavy, heavy\n"
        "import winnow.operators.find, winnow.operators.chain\n"
        "loaded = [m for m in sys.modules if m == 'ray' or m.startswith(('winnow.engine', 'winnow.stages'))]\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_public_names():
    with pytest.raises(AttributeError, match="module 'winnow' has no attribute 'signals'; it has: run, open"):
        winnow.signals  # noqa: B018
    with pytest.raises(TypeError, match=r"winnow.mapper has no columns"):
        winnow.mapper(columns=["a"])
    assert winnow.signal(lambda batch: 1) is not None
