"""The breaks can be applied to this checkout. Whether tests notice them is for ``make test-breaks``."""

from collections import Counter

import pytest

from tests.breaks.__main__ import judge
from tests.breaks.all_breaks import BREAKS
from tests.breaks.change import Break, fault_of, file_of
from tests.breaks.checkout import ROOT, Checkout, Outcome


@pytest.mark.parametrize("change", BREAKS, ids=lambda change: change.name)
def test_it_can_be_applied(change):
    """Where this fails after a change of the code: write the break anew, so that it breaks the same promise."""
    assert fault_of(ROOT, change) is None


def test_there_are_at_least_four_of_each_promise_and_names_are_unique():
    assert min(Counter(change.promise for change in BREAKS).values()) >= 4
    assert {change.promise for change in BREAKS} >= set(range(1, 7))
    assert len({change.name for change in BREAKS}) == len(BREAKS)


def example(**more) -> Break:
    return Break(**{"name": "n", "promise": 1, "module": "a.b", "old": "1", "new": "2", "tests": ("t.py",)} | more)


def test_modules_are_found_in_both_source_roots(tmp_path):
    for name in ("a/b.py", "pipeline/c/__init__.py", "pipeline/c/d.py", "jobs/run.py", "t.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    for module, file in (
        ("a.b", "a/b.py"),
        ("c", "pipeline/c/__init__.py"),
        ("c.d", "pipeline/c/d.py"),
        ("c.jobs.run", "jobs/run.py"),
    ):
        assert file_of(tmp_path, module) == tmp_path / file
    with pytest.raises(LookupError, match=r"no file of module a\.c"):
        file_of(tmp_path, "a.c")
    assert fault_of(tmp_path, example()) is None
    assert "found 0 times" in fault_of(tmp_path, example(old="3"))
    assert "changes nothing" in fault_of(tmp_path, example(new="1"))
    assert "no such test file: u.py" in fault_of(tmp_path, example(tests=("u.py::test",)))


def test_who_has_noticed_what():
    def verdict(code, failed=(), **more):
        return judge(example(**more), Outcome(code, failed, 1.0, "said"))

    assert verdict(1, ("t.py::test",)).noticed
    assert not verdict(0).noticed and verdict(0).by == "NOBODY"
    assert not verdict(2, ("t.py",)).noticed  # what cannot be imported is no break of a promise
    assert not verdict(None).noticed and verdict(None, may_hang=True).noticed


@pytest.mark.slow
def test_a_copy_is_broken_and_mended(tmp_path, monkeypatch):
    import subprocess

    from tests.breaks import checkout

    repository = tmp_path / "repository"
    for name, text in {
        "a/b.py": "def one():\n    return 1\n",
        "a/compiled.py": f"CACHE_FOLDER = {str(tmp_path / 'kernels')!r}\n",
        "t.py": "from a.b import one\ndef test_one():\n    assert one() == 1\n",
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-ra'\nmarkers = ['slow: s', 'longest: l']\n",
    }.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=repository, check=True)
    monkeypatch.setattr(checkout, "ROOT", repository)
    monkeypatch.setattr(checkout, "COMPILED", "a.compiled")
    copy = Checkout(tmp_path / "copy")
    file = copy.root / "a/b.py"
    before = file.stat().st_mtime_ns
    assert copy.imported(["a.b"]) == {"a.b": file}
    assert copy.test(["t.py"], 60).code == 0
    with copy.broken(example()):
        outcome = copy.test(["t.py"], 60, "-x")
    assert (outcome.code, outcome.failed) == (1, ("t.py::test_one",))
    assert file.stat().st_mtime_ns == before
    assert copy.test(["t.py"], 60).code == 0
    with copy.broken(example(old="return 1", new="while True: pass")):
        assert copy.test(["t.py"], 3).code is None
    assert (repository / "a/b.py").read_text() == file.read_text()
    seconds = {file.stat().st_mtime_ns // 1_000_000_000}
    for new in "234":  # of one size and, on the clock, of one second: what was compiled of one is not run for the other
        with copy.broken(example(new=new)):
            seconds.add(file.stat().st_mtime_ns // 1_000_000_000)
    assert len(seconds) == 4
