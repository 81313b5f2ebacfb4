"""A deciding step and a report of other packages take part like built-in ones. In processes of their own: the flow is
put together when it is imported."""

import json
import subprocess
import sys
from pathlib import Path

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


def winnow_there(site: Path, *lines: tuple[str, ...]) -> list[tuple[int, str]]:
    """Commands, one after the other, in a process that finds the packages: their exit codes and what they printed."""
    line = [sys.executable, "-c", COMMANDS, json.dumps(lines)]
    done = subprocess.run(line, env=environment(site), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stderr.splitlines()[-1])


def write_config(tmp_path: Path, **sections) -> Path:
    if not (tmp_path / "data").exists():
        write_sample(tmp_path / "data", 40)
    sections = {"filter": {"mode": "annotate"}, "shards": {"sequence_tokens": 64}} | sections
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(sample_config(tmp_path / "data", tmp_path / "run", **sections)))
    return tmp_path / "c.yaml"


def kept_ids(run: Path) -> list[str]:
    finished = winnow_library.open(str(run))
    decisions = finished.table("decisions").to_table(columns=["doc", "outcome"]).to_pylist()
    kept = {row["doc"] for row in decisions if row["outcome"] == "kept"}
    rows = finished.table("documents").to_table(columns=["doc", "id"]).to_pylist()
    return [row["id"] for row in rows if row["doc"] in kept]


def test_a_step_decides_and_is_told_of(tmp_path, site):
    run = str(tmp_path / "run")
    assert winnow("run", str(write_config(tmp_path)))[0] == 0
    before = kept_ids(tmp_path / "run")
    gone = sorted(name for name in before if before.count(name) == 1)[:3]
    (tmp_path / "list.txt").write_text("\n".join([*gone, "no-such-id"]))

    install(site, "takedowns", "winnow.steps", {"takedowns": "STEP"})
    config = str(write_config(tmp_path, steps={"takedowns": {"list": str(tmp_path / "list.txt")}}))
    lines = ("plan", config), ("run", config), ("run", config), ("why", gone[0], run), ("verify", run), ("summary", run)
    done = winnow_there(site, *lines)
    assert [code for code, _ in done] == [0] * len(lines), done
    plan, first, again, story, _, summary = (" ".join(told.split()) for _, told in done)
    assert "takedowns" in plan
    assert "takedowns: 3 documents left out" in first
    assert "0 units computed" in again
    assert "outcome filtered" in story
    assert "left out takedowns.listed: its id stands in the list of takedowns" in story
    assert "takedowns: 3 documents left out" in summary


def test_a_step_that_there_is_not_is_refused(tmp_path, site):
    config = write_config(tmp_path, steps={"takedown": {}})
    code, output = winnow("run", str(config))
    assert code == 2 and "'takedown' is no known step" in output
    code, output = winnow("run", str(write_config(tmp_path, steps={"dedup": {}})))
    assert code == 2 and "steps.dedup" in output
    install(site, "takedowns", "winnow.steps", {"takedowns": "STEP"})
    ((code, output),) = winnow_there(site, ("run", str(write_config(tmp_path, steps={"takedown": {}}))))
    assert code == 2 and "did you mean 'takedowns'" in output


def test_a_report_is_written_and_a_broken_one_harms_nothing(tmp_path, site):
    install(site, "licences", "winnow.reports", {"licences": "REPORT"})
    install(site, "broken", "winnow.reports", {"broken": "REPORT"}, code="REPORT = 1 / 0\n")
    install(site, "takedowns", "winnow.steps", {"takedowns": "STEP"})  # no config names it: it does not run
    ((code, output),) = winnow_there(site, ("run", str(write_config(tmp_path))))
    assert code == 0, output
    assert "report broken cannot be made: ConfigError" in output
    rows = (tmp_path / "run" / "reports" / "licences.csv").read_text().splitlines()
    assert rows[0] == "source,licence,documents,tokens" and len(rows) > 1
    assert "records in" in (tmp_path / "run" / "reports" / "summary.txt").read_text()
