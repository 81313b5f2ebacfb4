"""Every fault in every stage: the run ends with the bytes of a run without it, or says what went wrong and goes on.

`make test-all` runs one case of each kind on Ray; `make test-faults` all of them.
"""

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.support.fault_runs import PUBLISHED, SELECT, STAGES, WITHOUT_FILES, Runs, ended, started, wait_for
from tests.support.finished import shards_of
from winnow.audit.verify.verify import recount
from winnow.config.config import parse_config
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.runs.status import status_of


def every_stage(*fast: str):
    """All stages; those not named only in `make test-faults`."""
    return [pytest.param(s, marks=pytest.mark.slow if s in fast else pytest.mark.longest) for s in STAGES]


WORKERS = pytest.mark.parametrize("executor", ["ray", "processes"])


@WORKERS
@pytest.mark.parametrize("stage", every_stage("measure"))
def test_a_worker_killed_in_the_middle_of_a_unit(runs, tmp_path, stage, executor):
    runs = runs.having(stage)
    fault = {"point": "commit", "is": {"stage": stage}, "do": "kill", "times": 1}
    code, messages = ended(runs.line(tmp_path, executor), tmp_path / "marks", fault)
    assert code == 0, messages
    assert len(list((tmp_path / "marks").iterdir())) == 1
    runs.holds(tmp_path)


@pytest.mark.parametrize("point", ["unit", "publish", "commit", "committed"])
@pytest.mark.parametrize("stage", every_stage("shuffle", "shards", "document_shards"))
def test_the_driver_killed_at_each_step_of_a_commit(runs, tmp_path, stage, point):
    """In one process, so that the driver is what dies; partial files are left behind at `publish` and `commit`."""
    if point in ("unit", "committed") and stage not in ("measure", "candidates", "shards"):
        pytest.skip("shown by other stages; nothing differs between them here")
    if point == "publish" and stage in WITHOUT_FILES:
        pytest.skip("it publishes no file")
    runs = runs.having(stage)
    where = {"holds": {"path": f"{PUBLISHED.get(stage, stage)}/"}} if point == "publish" else {"is": {"stage": stage}}
    line = runs.line(tmp_path)
    code, messages = ended(line, tmp_path / "marks", {"point": point, "do": "kill", "times": 1, **where})
    assert code == -signal.SIGKILL, messages
    assert status_of(str(tmp_path / "run")).state == "died"
    code, messages = ended(line, tmp_path / "marks")
    assert code == 0, messages
    runs.holds(tmp_path)


@WORKERS
@pytest.mark.parametrize("stage", every_stage("tokenise"))
def test_a_frozen_worker_is_killed_and_its_unit_done_again(runs, tmp_path, stage, executor):
    runs = runs.having(stage)
    fault = {"point": "commit", "is": {"stage": stage}, "do": "freeze", "times": 1}
    line = runs.line(tmp_path, executor, unit_timeout_minutes=0.15)
    code, messages = ended(line, tmp_path / "marks", fault)
    assert code == 0, messages
    assert f"{stage} unit" in messages
    assert "its worker is killed and the unit tried again" in messages
    runs.holds(tmp_path)


@WORKERS
@pytest.mark.parametrize("stage", every_stage("tokenise"))
def test_a_worker_frozen_before_its_first_unit_is_killed(runs, tmp_path, stage, executor):
    """It has said nothing yet of what it is at; of processes, the driver knows."""
    runs = runs.having(stage)
    fault = {"point": "group", "is": {"stage": stage}, "do": "freeze", "times": 1}
    line = runs.line(tmp_path, executor, unit_timeout_minutes=0.2)
    code, messages = ended(line, tmp_path / "marks", fault)
    assert code == 0, messages
    idle, busy = "has stood still for over 0.2 minutes without a unit; it is killed", "at it for over 0.2 minutes"
    assert messages.count(idle if executor == "ray" else busy) == 1
    runs.holds(tmp_path)


@pytest.mark.parametrize("number", ["EIO", "ESTALE", "ENOSPC"])
@pytest.mark.parametrize("stage", every_stage("bands"))
def test_storage_that_fails_for_a_while(runs, tmp_path, stage, number):
    if number != "EIO" and stage not in ("measure", "bands", "shards"):
        pytest.skip("shown by other stages; nothing differs between the errors here")
    runs = runs.having(stage)
    fault = {"point": "open", "holds": {"path": f"work/{stage}/"}, "do": "error", "errno": number, "times": 2}
    code, messages = ended(runs.line(tmp_path), tmp_path / "marks", fault)
    assert code == 0, messages
    assert "trying" in messages
    runs.holds(tmp_path)


ADVICE = {
    "EIO": "Input/output error",
    "ENOSPC": "free space",
    "EACCES": "make the folder writable",
    "EROFS": "the file system is read-only",
}


@pytest.mark.parametrize(
    ("stage", "number"),
    [
        pytest.param("measure", "EIO", marks=pytest.mark.slow),
        pytest.param("shuffle", "ENOSPC", marks=pytest.mark.slow),
        pytest.param("shards", "EACCES", marks=pytest.mark.longest),
        pytest.param("tokenise", "EROFS", marks=pytest.mark.longest),
        *(
            pytest.param(stage, "ENOSPC", marks=pytest.mark.longest)
            for stage in STAGES
            if stage not in ("measure", "shuffle", "shards", "tokenise")
        ),
    ],
)
def test_storage_that_fails_for_good(runs, tmp_path, stage, number):
    runs, says = runs.having(stage), ADVICE[number]
    fault = {"point": "open", "holds": {"path": f"work/{stage}/"}, "do": "error", "errno": number}
    line = runs.line(tmp_path)
    code, messages = ended(line, tmp_path / "marks", fault)
    assert code == 1
    assert f"stage {stage}" in messages and says in messages
    assert status_of(str(tmp_path / "run")).state == "failed"
    assert ended(line, tmp_path / "marks")[0] == 0
    runs.holds(tmp_path)


@pytest.mark.parametrize("stage", every_stage("measure"))
def test_two_runs_of_one_config_at_once(runs, tmp_path, stage):
    """The second comes while the first is at the stage."""
    runs = runs.having(stage)
    line = runs.line(tmp_path)
    slow = {"point": "unit", "is": {"stage": stage}, "do": "sleep", "seconds": 15, "times": 1}
    first = started(line, tmp_path / "marks", slow)
    wait_for(lambda: any((tmp_path / "marks").iterdir()), first)
    code, messages = ended(line, tmp_path / "marks-of-the-second")
    assert first.poll() is None
    assert code == 3, messages
    assert f"belongs to process {first.pid}" in messages
    _, messages = first.communicate(timeout=120)
    assert first.returncode == 0, messages
    runs.holds(tmp_path)


@pytest.mark.parametrize("stage", every_stage("measure"))
def test_the_clock_jumps_while_a_run_holds_its_folder(runs, tmp_path, stage):
    """The lease looks expired by a day, but its owner renews it: it is still one run that ends well."""
    runs = runs.having(stage)
    line = runs.line(tmp_path)
    slow = {"point": "unit", "is": {"stage": stage}, "do": "sleep", "seconds": 2, "times": 1}
    process = started(line, tmp_path / "marks", slow)
    lease = tmp_path / "run" / "lease.json"
    wait_for(lambda: any((tmp_path / "marks").iterdir()), process)
    for record in (tmp_path / "run").rglob("*.json"):
        os.utime(record, (1, 1))
    os.utime(lease, (2**31, 2**31))
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 0, messages
    runs.holds(tmp_path)


class Poisoned(dict):
    """By stage: the corpus with one more document, whose text ends the process that does the stage's work on it."""

    SETTINGS = {
        "embed": {"select": SELECT},
        "lines": {"dedup": {"lines": {"max_documents": 20}}},
    }

    def __init__(self, runs: Runs, folder: Path) -> None:
        self.runs, self.folder = runs, folder
        text = " ".join(f"This is sentence {number} of a text that has a twin." for number in range(20))
        twin = json.dumps({"url": "web/twin", "text": text})  # so that dedup looks at both
        poison = json.dumps({"url": "web/poison", "text": f"{text} It is POISON to its reader."})
        (folder / "poison.jsonl").write_text(f"{poison}\n{twin}\n")
        (folder / "nothing.jsonl").write_text(f'{{"url": "web/poison", "text": 42}}\n{twin}\n')

    def __missing__(self, stage: str) -> Runs:
        other = Runs.__new__(Runs)
        other.data = self.runs.data
        base = self.runs.config | self.SETTINGS.get(stage, {})
        other.config = base | {"sources": [*base["sources"], self._source("poison.jsonl")]}
        reference = base | {
            "sources": [*base["sources"], self._source("nothing.jsonl")],
            "run": str(self.folder / stage),
        }
        run(parse_config(reference))
        other.reference = shards_of(self.folder / stage)
        self[stage] = other
        return other

    def _source(self, name: str) -> dict:
        return {"name": "zz", "path": str(self.folder / name), "id": "url"}


@pytest.fixture(scope="module")
def poisoned(runs, tmp_path_factory) -> Poisoned:
    return Poisoned(runs, tmp_path_factory.mktemp("poison"))


def isolated(folder, reason: str) -> None:
    """All but the poison is there; the poison is in the ledger with its reason, and the books close."""
    finished = load_run(str(folder / "run"))
    assert all(balance.expected == balance.found for balance in recount(finished))
    assert finished.manifest["sources"]["zz"]["outcomes"] == {"kept": 1, "unreadable": 1}
    from winnow.finished.explain import unreadable

    (found,) = unreadable(finished, "web/poison")
    assert found.reason.startswith("fatal: ")
    assert found.reason.endswith(reason)


@WORKERS
@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "what"),
    [
        pytest.param("measure", "kill", marks=pytest.mark.longest),
        pytest.param("measure", "crash", marks=pytest.mark.longest),
        ("tokenise", "kill"),
        pytest.param("tokenise", "crash", marks=pytest.mark.longest),
        pytest.param("embed", "kill", marks=pytest.mark.longest),
        pytest.param("lines", "kill", marks=pytest.mark.longest),
        pytest.param("candidates", "kill", marks=pytest.mark.longest),
    ],
)
def test_a_document_that_ends_its_worker_each_time_is_recorded_and_the_rest_goes_on(
    poisoned, tmp_path, stage, what, executor
):
    """In each stage that works on texts: the bytes are those of a corpus in which it could never be read."""
    fault = {"point": "batch", "is": {"stage": stage}, "holds": {"texts": "POISON"}, "do": what}
    code, messages = ended(poisoned[stage].line(tmp_path, executor), tmp_path / "marks", fault)
    assert code == 0, messages
    isolated(tmp_path, f" in {stage}")
    assert "the run goes on without them" in messages
    assert shards_of(tmp_path / "run") == poisoned[stage].reference
    code, messages = ended(poisoned[stage].line(tmp_path), tmp_path / "marks", fault)  # it is not met again
    assert code == 0, messages
    assert "units failed" not in messages


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["tokenise", pytest.param("measure", marks=pytest.mark.longest)])
def test_a_document_that_ends_the_only_process_is_found_by_the_third_run(poisoned, tmp_path, stage):
    fault = {"point": "batch", "is": {"stage": stage}, "holds": {"texts": "POISON"}, "do": "kill"}
    line = poisoned[stage].line(tmp_path)
    results = [ended(line, tmp_path / "marks", fault) for _ in range(3)]
    assert [code for code, _ in results] == [-9, -9, 0], results[-1][1]
    isolated(tmp_path, f" in {stage}")
    assert shards_of(tmp_path / "run") == poisoned[stage].reference


@WORKERS
@pytest.mark.slow
def test_a_worker_killed_from_outside(runs, tmp_path, executor):
    """By its process id, as the system does when memory runs out."""
    line = runs.line(tmp_path, executor)
    slow = {"point": "commit", "is": {"stage": "tokenise"}, "do": "sleep", "seconds": 2, "times": 2}
    process = started(line, tmp_path / "marks", slow)
    wait_for(lambda: any((tmp_path / "marks").iterdir()), process)
    family = psutil.Process(process.pid).children(recursive=True)
    if executor == "ray":
        workers = [member for member in family if "ray::MapBatches" in " ".join(member.cmdline())]
    else:
        workers = [member for member in family if member.ppid() != process.pid]
    assert workers
    workers[0].kill()
    _, messages = process.communicate(timeout=240)
    assert process.returncode == 0, messages
    runs.holds(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "times"),
    [
        ("/runtime_env/agent/main.py", 1),
        ("/dashboard/agent.py", 1),
        pytest.param("/gcs/gcs_server", 1, marks=pytest.mark.longest),
        pytest.param("/raylet/raylet", 1, marks=pytest.mark.longest),
        ("/raylet/raylet", 2),
    ],
)
def test_the_ray_of_the_command_ends(runs, tmp_path, program, times):
    """With what stands for an agent, or alone: the command begins again by itself, the second time it says so."""
    line = runs.line(tmp_path, "ray")
    slow = {"point": "commit", "is": {"stage": "tokenise"}, "do": "sleep", "seconds": 4, "times": 2 * times}
    process = started(line, tmp_path / "marks", slow)
    for time_number in range(times):
        wait_for(lambda least=2 * time_number: len(list((tmp_path / "marks").iterdir())) > least, process)
        family = psutil.Process(process.pid).children(recursive=True)
        alive = [member for member in family if member.status() != psutil.STATUS_ZOMBIE]
        (one,) = [member for member in alive if any(part.endswith(program) for part in member.cmdline())]
        one.kill()
    _, messages = process.communicate(timeout=240)
    assert "Ray's node on this machine has ended" in messages
    assert "the command begins again, once" in messages
    if times == 2:
        assert process.returncode == 75, messages
        assert "the same command goes on" in messages
        code, messages = ended(line, tmp_path / "marks")
        assert code == 0, messages
    else:
        assert process.returncode == 0, messages
    runs.holds(tmp_path)
