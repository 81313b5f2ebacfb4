"""No changed kernel meets old records: the version of every stage stands beside a digest of what it computes with."""

import json
import textwrap
from functools import cache
from pathlib import Path

import pytest

from tests.stages.digests import RECORDED, SOURCES, DigestError, Package, StageSources, differences, record

STAGE = """
    \"\"\"A stage.\"\"\"
    from winnow.engine.stage import Accelerated, Stage
    from winnow.kernels import add as sum_up
    from winnow import limits
    from winnow.readers import READERS

    def stage(settings):
        halves = Accelerated(prepare, finish) if settings else None
        return Stage("one", 1, settings, run, accelerated=halves)

    def second(name="two"):
        return Stage(name, 3, {}, run=other)

    def run(unit, workspace):
        return finish(unit, workspace, prepare(unit, workspace))

    def prepare(unit, workspace):
        return sum_up(limits.LEAST, 2)

    def finish(unit, workspace, table):
        from winnow.late import Late  # deferred

        return Late().value

    def other(unit, workspace):
        return READERS.get(unit)
"""
FILES = {
    "engine/stage.py": "class Stage: ...\nclass Accelerated: ...\n",
    "stages/one.py": STAGE,
    "flow.py": "from winnow.stages import one\n\ndef flow():\n    one.second(name='three')\n",
    "kernels.py": """
        def add(a: int, b: int) -> int:
            \"\"\"Add.\"\"\"
            if a > 9:
                raise ValueError(f"too much: {a}")
            return _twice(a) + b

        def _twice(a):
            return a * 2

        def unrelated():
            return 1
    """,
    "limits.py": "from winnow.storage.disk import read\n\nLEAST = read(3)\n",
    "late.py": "class Late:\n    factor: int = 1\n\n    @property\n    def value(self):\n        return self.factor\n",
    "storage/disk.py": "def read(n):\n    return n\n",
    "readers.py": """
        from winnow.registry import Registry

        READERS = Registry(what="input format", kind="winnow.reader:Reader", built_in={"csv": "winnow.csv:READER"})
    """,
    "csv.py": "def read():\n    return 1\n\n\nREADER = dict(read=read)\n",
    "registry.py": "class Registry: ...\n",
}


@cache
def own_stages() -> dict[str, StageSources]:
    """Of this package, read once: it takes seconds."""
    return Package(SOURCES).stages()


def package(folder: Path, changes: dict[str, tuple[str, str]] | None = None) -> Package:
    for name, text in FILES.items():
        text = textwrap.dedent(text).lstrip()
        for old, new in [changes[name]] if changes and name in changes else []:
            assert old in text
            text = text.replace(old, new)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Package(folder)


def test_every_stage_is_as_recorded():
    """See tests/stages/digests.py for what to do: `python -m tests.stages.digests` says it, too."""
    lines = differences(own_stages(), json.loads(RECORDED.read_text()))
    assert not lines, "\n" + "\n".join(lines) + "\nrecord with: python -m tests.stages.digests --write"


def test_every_stage_call_is_covered():
    """As many calls as a plain search for the word finds, so that none is overlooked."""
    calls = sum(
        line.split("#")[0].count(" Stage(")
        for path in SOURCES.rglob("*.py")
        for line in path.read_text().splitlines()
        if not line.startswith("class ")
    )
    stages = own_stages()
    assert len(stages) >= 40
    assert {"measure", "filter", "keepers", "components", "large_star", "tokenise", "shards"} <= set(stages)
    by_call = [name for name in stages if not name.startswith("operator ")]
    assert calls == len(by_call)  # centres is built twice, screen has two names
    assert "winnow.dedup.minhash._sign_documents" in stages["measure"].definitions
    assert "winnow.dedup.minhash._sign_documents" not in stages["shards"].definitions
    assert not [name for name in stages["measure"].definitions if name.startswith("winnow.storage")]


def test_names_are_followed_to_what_they_stand_for(tmp_path):
    stages = package(tmp_path).stages()
    assert {name: stage.version for name, stage in stages.items()} == {"one": 1, "two": 3, "three": 3}
    assert set(stages["one"].definitions) == {
        "winnow.stages.one.run",
        "winnow.stages.one.prepare",
        "winnow.stages.one.finish",
        "winnow.kernels.add",
        "winnow.kernels._twice",
        "winnow.limits.LEAST",
        "winnow.late.Late",
    }
    assert set(stages["two"].definitions) == {
        "winnow.stages.one.other",
        "winnow.readers.READERS",
        "winnow.csv.READER",  # which the registry names as a text
        "winnow.csv.read",
        "winnow.registry.Registry",
    }
    assert "winnow.sources.readers.jsonl.read_jsonl" in own_stages()["measure"].definitions


def test_a_changed_reader_is_noticed(tmp_path):
    recorded = record(package(tmp_path / "a").stages())
    lines = differences(package(tmp_path / "b", {"csv.py": ("return 1", "return 2")}).stages(), recorded)
    assert [line.split(":")[0] for line in lines] == ["stage three", "stage two"] and "winnow.csv.read" in lines[0]
    with pytest.raises(DigestError, match="csv:NONE: a registry names it"):
        package(tmp_path / "c", {"readers.py": ("csv:READER", "csv:NONE")}).stages()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("kernels.py", '"""Add."""', '"""Add two numbers."""  # as ever'),
        ("kernels.py", "a: int, b: int) -> int", "a: float, b: float) -> float"),
        ("kernels.py", "too much: {a}", "{a} is too much"),
        ("kernels.py", "return _twice(a) + b", "return (\n        _twice(a)\n        + b\n    )"),
        ("kernels.py", "return 1", "return 2"),  # nothing that a stage uses
        ("storage/disk.py", "return n", "return n + 0"),
        ("stages/one.py", "if settings else None", "if not settings else None"),  # of the settings, not of a unit
    ],
)
def test_what_cannot_reach_a_result_does_not_count(tmp_path, file, old, new):
    recorded = record(package(tmp_path / "a").stages())
    assert differences(package(tmp_path / "b", {file: (old, new)}).stages(), recorded) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("kernels.py", "a * 2", "a + a", "winnow.kernels._twice"),
        ("kernels.py", "a > 9", "a > 8", "winnow.kernels.add"),
        ("limits.py", "read(3)", "read(4)", "winnow.limits.LEAST"),
        ("late.py", "factor: int = 1", "factor: int = 2", "winnow.late.Late"),
        ("late.py", "factor: int", "factor: str", "winnow.late.Late"),  # how a field is read
    ],
)
def test_what_can_reach_a_result_is_named(tmp_path, file, old, new, named):
    recorded = record(package(tmp_path / "a").stages())
    (line,) = differences(package(tmp_path / "b", {file: (old, new)}).stages(), recorded)
    assert line.startswith(f"stage one: its sources changed and its version is still 1: {named}; raise the version")


def test_a_raised_version_and_a_new_stage_are_to_be_recorded(tmp_path):
    recorded = record(package(tmp_path / "a").stages())
    raised = package(tmp_path / "b", {"stages/one.py": ('"one", 1', '"one", 2')}).stages()
    assert differences(raised, recorded) == ["stage one: version 1 is now 2: record the digests anew"]
    del recorded["stages"]["two"]
    recorded["stages"]["old"] = {"version": 1, "digest": ""}
    assert differences(package(tmp_path / "a").stages(), recorded) == [
        "stage old is gone: record the digests anew",
        "stage two is new: record the digests",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"one", 1', '"one", VERSION', "version of a stage must be a number"),
        ('Stage("one", 1, settings, run', "Stage(*settings", "without"),
        ('"one", 1', "str(settings), 1", "name of a stage must be a text"),
        ("settings, run,", "settings, lambda unit, workspace: None,", "must be functions at the top"),
        ('"one", 1', '"two", 1', "built with versions 1 and 3"),
    ],
)
def test_a_stage_that_cannot_be_followed_is_refused(tmp_path, old, new, message):
    changes = {"stages/one.py": (old, new)}
    if "lambda" in new:
        changes["stages/one.py"] = ("settings, run, accelerated=halves", "settings, lambda unit, workspace: None")
    with pytest.raises(DigestError, match=message):
        package(tmp_path, changes).stages()
