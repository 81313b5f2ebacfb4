"""A deciding step and a report of other packages take part like built-in ones. In processes of their own: the flow is
put together when it is imported."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import winnow as winnow_library
from tests.extending.packages import environment, install
from tests.support.commands import winnow
from tests.support.configs import sample_config
from tests.support.corpora import write_sample

COMMANDS = """
import json, sys
from tests.support.commands import winnow
print(json.dumps([winnow(*line) for line in json.loads(sys.argv[1])]), file=sys.stderr)
"""


@dataclass(frozen=True)
class Made:
    """What commands in a process that finds the packages ended with and told, and the runs that they made."""

    gone: list[str]
    with_step: list[tuple[int, str]]
    with_typo: tuple[int, str]
    without_step: tuple[int, str]
    run: Path
    """Without the step."""


def write_config(folder: Path, name: str, **sections) -> str:
    sections = {"filter": {"mode": "annotate"}, "shards": {"sequence_tokens": 64}} | sections
    config = sample_config(folder / "data", folder / name.partition("-")[0], **sections)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
    return str(folder / f"{name}.yaml")


def kept_ids(run: Path) -> list[str]:
    finished = winnow_library.open(str(run))
    decisions = finished.table("decisions").to_table(columns=["doc", "outcome"]).to_pylist()
    kept = {row["doc"] for row in decisions if row["outcome"] == "kept"}
    rows = finished.table("documents").to_table(columns=["doc", "id"]).to_pylist()
    return [row["id"] for row in rows if row["doc"] in kept]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    """One process does it all: most of its time it imports."""
    folder = tmp_path_factory.mktemp("steps")
    write_sample(folder / "data", 40)
    assert winnow("run", write_config(folder, "run"))[0] == 0
    before = kept_ids(folder / "run")
    gone = sorted(name for name in before if before.count(name) == 1)[:3]
    (folder / "list.txt").write_text("\n".join([*gone, "no-such-id"]))

    site = folder / "site"
    install(site, "takedowns", "winnow.steps", {"takedowns": "STEP"})
    install(site, "licences", "winnow.reports", {"licences": "REPORT"})
    install(site, "broken", "winnow.reports", {"broken": "REPORT"}, code="REPORT = 1 / 0\n")
    config = write_config(folder, "run-steps", steps={"takedowns": {"list": str(folder / "list.txt")}})
    run = str(folder / "run")
    lines = [
        *(("plan", config), ("run", config), ("run", config), ("why", gone[0], run), ("verify", run), ("summary", run)),
        ("run", write_config(folder, "typo", steps={"takedown": {}})),
        ("run", write_config(folder, "plain")),
    ]
    line = [sys.executable, "-c", COMMANDS, json.dumps(lines)]
    done = subprocess.run(line, env=environment(site), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *with_step, with_typo, without_step = map(tuple, json.loads(done.stderr.splitlines()[-1]))
    return Made(gone, with_step, with_typo, without_step, folder / "plain")


def test_a_step_decides_and_is_told_of(made):
    assert [code for code, _ in made.with_step] == [0] * 6, made.with_step
    plan, first, again, story, _, summary = (" ".join(told.split()) for _, told in made.with_step)
    assert "takedowns" in plan
    assert "takedowns: 3 documents left out" in first
    assert "0 units computed" in again
    assert "outcome filtered" in story
    assert "left out takedowns.listed: its id stands in the list of takedowns" in story
    assert "takedowns: 3 documents left out" in summary


@pytest.mark.parametrize(("name", "told"), [("takedown", "'takedown' is no known step"), ("dedup", "steps.dedup")])
def test_a_step_that_there_is_not_is_refused(tmp_path, name, told):
    write_sample(tmp_path / "data", 8)
    code, output = winnow("run", write_config(tmp_path, "run", steps={name: {}}))
    assert code == 2 and told in output


def test_a_step_that_is_written_wrong_is_refused_with_its_name(made):
    code, output = made.with_typo
    assert code == 2 and "did you mean 'takedowns'" in output


def test_a_report_is_written_and_a_broken_one_harms_nothing(made):
    code, output = made.without_step  # no config names the step: it does not run
    assert code == 0, output
    assert "report broken cannot be made: ConfigError" in output
    assert "takedowns" not in output
    rows = (made.run / "reports" / "licences.csv").read_text().splitlines()
    assert rows[0] == "source,licence,documents,tokens" and len(rows) > 1
    assert "records in" in (made.run / "reports" / "summary.txt").read_text()
