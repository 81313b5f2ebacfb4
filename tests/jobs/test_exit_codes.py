"""Each exit code: which errors it stands for, that docs/cluster.md lists it, and that submit hands it on."""

import re
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs import exit_codes as exits
from jobs.exit_codes import FAILED, HELD, INTERRUPTED, NO_READER, OK, REFUSED, RESUMABLE, true_exit_codes
from jobs.submit import _outcome, _wait
from winnow.engine.engine import StageFailedError
from winnow.engine.executors.execute import Failure
from winnow.engine.stopping import Stop
from winnow.errors import (
    BooksError,
    ClusterError,
    ConfigError,
    ForcedStop,
    InputError,
    LeaseHeldError,
    StoppedError,
    StorageError,
    UnreadableShareError,
)

MEANINGS = {
    OK: [None],
    FAILED: [
        StageFailedError("tokenise", [Failure(3, "out of memory", "")], 9),
        BooksError("one document is missing"),
        StorageError(28, "cannot write"),
        OSError(5, "Input/output error"),
        ZeroDivisionError("a fault of ours"),
    ],
    REFUSED: [ConfigError("a setting"), InputError("no file"), ClusterError("no node"), UnreadableShareError("much")],
    HELD: [LeaseHeldError("another run")],
    RESUMABLE: [StoppedError("stopped", signal.SIGTERM), ForcedStop(signal.SIGTERM)],
    INTERRUPTED: [StoppedError("stopped", signal.SIGINT), ForcedStop(signal.SIGINT), KeyboardInterrupt()],
}


@pytest.mark.parametrize(("code", "error"), [(code, error) for code, errors in MEANINGS.items() for error in errors])
def test_errors_end_with_their_code_and_their_message(code, error, monkeypatch, capsys):
    left = []
    monkeypatch.setattr(exits, "leave", left.append)
    with true_exit_codes():
        if error is not None:
            raise error
    assert left == ([code] if error is not None else [])
    told = capsys.readouterr().err
    if error is not None and str(error):
        assert f"{error}" in told


def test_the_documentation_lists_just_these():
    page = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
    table = page[page.index("| code | meaning |") :].split("\n\n")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == {*MEANINGS, NO_READER}


class Client:
    """A cluster whose job runs for a moment and then ends."""

    def __init__(self, state: str, code: int | None) -> None:
        from ray.job_submission import JobStatus

        self.states = [JobStatus.PENDING, JobStatus.RUNNING, JobStatus(state)]
        self.code = code
        self.stopped = False

    def get_job_info(self, _job):
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return SimpleNamespace(status=state, driver_exit_code=self.code, message="it ended")

    def get_job_logs(self, _job):
        return "a line\nhalf a li" if len(self.states) > 1 else "a line\nhalf a line\n"

    def stop_job(self, _job):
        self.stopped = True


@pytest.mark.parametrize(
    ("state", "code", "expected"),
    [
        ("SUCCEEDED", 0, OK),
        *(("FAILED", code, code) for code in (FAILED, REFUSED, HELD, RESUMABLE, INTERRUPTED)),
        ("FAILED", None, FAILED),  # its node was lost
        ("FAILED", -9, FAILED),
        ("STOPPED", None, RESUMABLE),
    ],
)
@pytest.mark.parametrize("follow", [True, False])
def test_submit_hands_the_code_of_the_job_on(state, code, expected, follow, monkeypatch, capsys):
    monkeypatch.setattr("jobs.submit.LOOK_SECONDS", 0.0)
    client, stop = Client(state, code), Stop()
    details = _wait(client, "a", stop, follow=follow)
    assert _outcome(client, "a", details, stop) == expected
    assert capsys.readouterr().out == ("a line\nhalf a line\n" if follow else "")
    assert not client.stopped


@pytest.mark.parametrize(("sent", "expected"), [(signal.SIGTERM, RESUMABLE), (signal.SIGINT, INTERRUPTED)])
def test_submit_that_is_asked_to_stop_stops_the_job(sent, expected, monkeypatch):
    monkeypatch.setattr("jobs.submit.LOOK_SECONDS", 0.0)
    client, stop = Client("STOPPED", None), Stop()
    stop.signal_number = sent
    stop.asked.set()
    details = _wait(client, "a", stop, follow=False)
    assert client.stopped
    assert _outcome(client, "a", details, stop) == expected


def test_submit_that_loses_the_cluster_says_that_the_job_may_still_run(monkeypatch):
    monkeypatch.setattr("jobs.submit.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("jobs.submit.LOST_AFTER_SECONDS", 0.05)
    client = Client("SUCCEEDED", 0)

    def lost(_job):
        raise ConnectionError("no route")

    client.get_job_info = lost
    with pytest.raises(OSError, match="job a may still run, and what it commits stays"):
        _wait(client, "a", Stop(), follow=False)
