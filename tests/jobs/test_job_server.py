"""`winnow submit` and a job server, or a proxy before it, that fails: what is asked again, and the exit code."""

import contextlib
import http.server
import json
import threading
import time

import pytest
import ray
import yaml

from tests.support.clusters import free_port
from tests.support.commands import winnow
from tests.support.configs import unread_config


class Server:
    """Answers as Ray's dashboard does; ``faults`` says what comes before: path -> statuses to give first."""

    def __init__(self, faults: dict[str, list[int]]) -> None:
        self.faults, self.asked, self.jobs = faults, [], {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                path = self.path.partition("?")[0]
                name = next((name for name in outer.faults if path.startswith(name)), "")
                outer.asked.append(f"{self.command} {path}")
                waiting = outer.faults.get(name)
                status = waiting.pop(0) if waiting else 200
                told = outer.told(self.command, path, body, lost=status == 599)
                if status != 200:
                    told = b"<html>\n<title>the proxy's own page</title>"
                if isinstance(told, int):
                    status, told = told, b"ValueError: Job with submission_id a already exists. Please use another."
                self.send_response(502 if status == 599 else status)
                self.send_header("content-length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_arguments) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.server.server_address[1]}"

    def told(self, method: str, path: str, body: bytes, *, lost: bool) -> bytes | int:
        """What Ray says; ``lost``: it does its work, and its answer does not arrive."""
        if path == "/api/version":
            return json.dumps({"version": "4", "ray_version": ray.__version__, "session_name": "s"}).encode()
        if path.startswith("/api/jobs") and method == "POST" and (lost or "/api/jobs" not in self.failing()):
            job = json.loads(body)
            if job["submission_id"] in self.jobs:
                return 400
            self.jobs[job["submission_id"]] = job
            return json.dumps({"submission_id": job["submission_id"], "job_id": job["submission_id"]}).encode()
        if path.startswith("/api/jobs/"):
            job = self.jobs.get(path.rpartition("/")[2])
            if job is not None:
                told = {"type": "SUBMISSION", "status": "RUNNING", "entrypoint": job["entrypoint"]}
                return json.dumps(
                    told | {"submission_id": path.rpartition("/")[2], "metadata": job["metadata"]}
                ).encode()
        return b"{}"

    def failing(self) -> list[str]:
        return [name for name, statuses in self.faults.items() if statuses]


@pytest.fixture
def submit(tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.job_server.FIRST_WAIT_SECONDS", 0.01)
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(unread_config("/r/a", "/raw/*.jsonl")))
    with contextlib.ExitStack() as stack:

        def run(faults: dict[str, list[int]], *more: str, address: str | None = None):
            server = Server(faults)
            stack.callback(server.server.shutdown)
            code, told = winnow("submit", str(config), "--no-wait", "--address", address or server.address, *more)
            return server, code, told

        yield run


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_what_passes_is_asked_again(submit, status):
    faults = {"/api/version": [status] * 2, "/api/packages": [status], "/api/jobs": [status] * 2}
    server, code, told = submit(faults)
    assert code == 0, told
    assert len(server.jobs) == 1
    assert "winnow: job winnow-" in told


@pytest.mark.parametrize("path", ["/api/version", "/api/packages", "/api/jobs"])
def test_what_does_not_pass_ends_with_the_code_of_what_may_be_tried_again(submit, path):
    server, code, told = submit({path: [503] * 50})
    assert code == 1, told
    assert "failed 5 times" in told and "503" in told and "run the same command again" in told
    assert sum(path in asked for asked in server.asked) == 5


def test_a_job_whose_answer_was_lost_is_not_started_twice(submit):
    server, code, told = submit({"/api/jobs": [599]})
    assert code == 0, told
    assert len(server.jobs) == 1
    assert next(iter(server.jobs)) in told


def test_a_name_that_somebody_else_has_used_is_refused(submit):
    server, code, told = submit({"/api/jobs": []}, "--submission-id", "a")
    assert code == 0, told
    server.jobs["a"]["metadata"] = {"submit": "other"}
    _, code, told = submit({}, "--submission-id", "a", address=server.address)
    assert code == 2
    assert "already exists" in told


@pytest.mark.parametrize("path", ["/api/packages", "/api/jobs"])
def test_an_upload_that_is_too_large(submit, path):
    server, code, told = submit({path: [413] * 9})
    assert code == 2
    assert "HTTP 413" in told and "--working-dir" in told and "client_max_body_size" in told
    assert sum(path in asked for asked in server.asked) == 1


@pytest.mark.parametrize("status", [400, 404, 405, 422])
def test_what_is_refused_is_not_asked_again(submit, status):
    server, code, told = submit({"/api/jobs": [status] * 9})
    assert code == 2
    assert str(status) in told
    assert "Traceback" not in told
    assert sum("/api/jobs" in asked for asked in server.asked) == 1


@pytest.mark.parametrize("form", ["{}", "http://{}", "http://{}/"])
def test_the_scheme_may_be_left_out(submit, form):
    server, code, told = submit({})
    server, code, told = submit({}, address=form.format(server.address))
    assert code == 0, told


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "http://127.0.0.1:{}"])
def test_nobody_there_is_told_at_once(submit, form):
    started = time.monotonic()
    _, code, told = submit({}, address=form.format(free_port()))
    assert code == 2
    assert "no Ray cluster takes jobs at http://127.0.0.1" in told and "Traceback" not in told
    assert time.monotonic() - started < 30


def test_an_address_of_the_environment_that_nobody_has(submit, monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port()}")
    code, told = winnow("submit", str(tmp_path / "c.yaml"), "--no-wait")
    assert code == 2
    assert "no Ray cluster takes jobs at 127.0.0.1" in told
