"""An S3 server of the tests' own, on this machine's loopback: a process with a free port, ended by its id."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

# Ends with its parent, too: then its standard input is closed.
_PROGRAM = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", int(sys.argv[1]), verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",  # any will do
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass
class ObjectsServer:
    """A running server. It holds everything in memory: what is in it is gone when it ends."""

    process: subprocess.Popen
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to reach it at ``s3://``."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.endpoint}

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def start_server(port: int = 0) -> ObjectsServer:
    """Start a server; port 0 is any that is free."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | CREDENTIALS
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    )
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the S3 server ended with {process.wait()} before it said its port")
    return ObjectsServer(process, int(line))


@pytest.fixture(scope="session")
def _one_server() -> Iterator[ObjectsServer]:
    for name in ("s3fs", "moto", "flask", "flask_cors"):
        pytest.importorskip(name, reason=f"needs {name} (pip install -c constraints.txt '.[dev]')")
    server = start_server()
    yield server
    server.stop()


@pytest.fixture
def s3(_one_server: ObjectsServer, monkeypatch: pytest.MonkeyPatch) -> ObjectsServer:
    """One server for all tests of the session; while a test has it, ``s3://`` means it. Use a bucket of your own."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in _one_server.environment.items():
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()  # those of earlier tests may know another server
    return _one_server
