"""A deciding step and a report of other packages take part like built-in ones. In processes of their own: the flow is
put together when it is imported."""

import json
import subprocess
import sys
from pathlib import Path

import yaml

from tests.extending.packages import environment, install
from tests.support.configs import sample_config
from tests.support.corpora import write_sample


def winnow(site: Path, *arguments: str) -> tuple[int, str]:
    line = [sys.executable, "-m", "jobs", *arguments]
    done = subprocess.run(line, env=environment(site), capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def write_config(tmp_path: Path, **sections) -> Path:
    if not (tmp_path / "data").exists():
        write_sample(tmp_path / "data", 40)
    sections = {"filter": {"mode": "annotate"}, "shards": {"sequence_tokens": 64}} | sections
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(sample_config(tmp_path / "data", tmp_path / "run", **sections)))
    return tmp_path / "c.yaml"


def kept_ids(run: Path) -> list[str]:
    code = (
        "import sys, json, winnow; run = winnow.open(sys.argv[1])\n"
        "kept = set(run.table('decisions').to_table(columns=['doc', 'outcome']).to_pandas()"
        ".query('outcome == \"kept\"').doc)\n"
        "rows = run.table('documents').to_table(columns=['doc', 'id']).to_pylist()\n"
        "print(json.dumps([row['id'] for row in rows if row['doc'] in kept]))"
    )
    return json.loads(subprocess.run([sys.executable, "-c", code, str(run)], capture_output=True, check=True).stdout)


def test_a_step_decides_and_is_told_of(tmp_path, site):
    config = write_config(tmp_path)
    assert winnow(site, "run", str(config))[0] == 0
    before = kept_ids(tmp_path / "run")
    gone = sorted(name for name in before if before.count(name) == 1)[:3]
    (tmp_path / "list.txt").write_text("\n".join([*gone, "no-such-id"]))

    install(site, "removals", "winnow.steps", {"removals": "STEP"})
    config = write_config(tmp_path, steps={"removals": {"list": str(tmp_path / "list.txt")}})
    code, output = winnow(site, "plan", str(config))
    assert code == 0 and "removals" in output
    code, output = winnow(site, "run", str(config))
    assert code == 0, output
    assert "removals: 3 documents left out" in output
    code, again = winnow(site, "run", str(config))
    assert code == 0 and "0 units computed" in again

    code, story = winnow(site, "why", gone[0], str(tmp_path / "run"))
    assert code == 0 and "outcome    filtered" in story
    assert "left out   removals.listed: its id stands in the list of removals" in story
    code, output = winnow(site, "verify", str(tmp_path / "run"))
    assert code == 0, output

    code, output = winnow(site, "summary", str(tmp_path / "run"))
    assert code == 0 and "removals: 3 documents left out" in output


def test_a_step_that_there_is_not_is_refused(tmp_path, site):
    config = write_config(tmp_path, steps={"removal": {}})
    code, output = winnow(site, "run", str(config))
    assert code == 2 and "'removal' is no known step" in output
    code, output = winnow(site, "run", str(write_config(tmp_path, steps={"dedup": {}})))
    assert code == 2 and "steps.dedup" in output
    install(site, "removals", "winnow.steps", {"removals": "STEP"})
    code, output = winnow(site, "run", str(write_config(tmp_path, steps={"removal": {}})))
    assert code == 2 and "did you mean 'removals'" in output


def test_a_report_is_written_and_a_broken_one_harms_nothing(tmp_path, site):
    install(site, "licences", "winnow.reports", {"licences": "REPORT"})
    install(site, "broken", "winnow.reports", {"broken": "REPORT"}, code="REPORT = 1 / 0\n")
    install(site, "removals", "winnow.steps", {"removals": "STEP"})  # no config names it: it does not run
    code, output = winnow(site, "run", str(write_config(tmp_path)))
    assert code == 0, output
    assert "report broken cannot be made: ConfigError" in output
    rows = (tmp_path / "run" / "reports" / "licences.csv").read_text().splitlines()
    assert rows[0] == "source,licence,documents,tokens" and len(rows) > 1
    assert "records in" in (tmp_path / "run" / "reports" / "summary.txt").read_text()
