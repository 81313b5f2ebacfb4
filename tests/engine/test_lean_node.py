"""A private Ray's node: what stands for its agents, and commands that are left as they are."""

import inspect
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from winnow.engine.executors import lean_node, stand_in_agent, stand_in_worker
from winnow.engine.executors.lean_node import AGENTS, ASKED, BEGUN_BY_ITSELF, WORKERS, lean_command

SOON = 30.0
ID = "0a" * 28
NODE = [
    "/ray/raylet",
    f"--node_id={ID}",
    "--node_ip_address=127.0.0.1",
    "--session_dir=/tmp/ray/s",
    "--python_worker_command=python setup_worker.py default_worker.py --node-ip-address=127.0.0.1",
    "--dashboard_agent_command=python dashboard/agent.py --grpc-port=0",
    "--runtime_env_agent_command=python runtime_env/agent/main.py --runtime-env-agent-port=0",
    "--num_prestart_python_workers=2",
    "--head",
]


def stood(option: str, template: str | None = "name") -> list[str]:
    """The words of an option of the node's command, as it starts."""
    (line,) = [part for part in lean_command(NODE, template) if part.startswith(f"{option}=")]
    return line.removeprefix(f"{option}=").split()


def test_nobody_is_asked_by_what_stands_for_the_dashboard_agent():
    pytest.importorskip("ray")
    told = stood("--dashboard_agent_command")
    isolated, address, (*files, split), command = told[1:4], told[4:5], told[5:9], told[9:]
    assert isolated == ["-I", "-S", stand_in_agent.__file__]
    assert address == ['""']
    assert [Path(file).parent for file in files] == [Path("/tmp/ray/s")] * 3
    assert all(ID in Path(file).name for file in files)
    assert split == "--"
    assert " ".join(command) == NODE[5].partition("=")[2]


def test_a_user_may_ask_for_environments():
    pytest.importorskip("ray")
    told = stood(ASKED)
    assert told[4] == "127.0.0.1"
    assert told[6] == "--"
    assert " ".join(told[7:]) == NODE[6].partition("=")[2]


def test_workers_are_asked_for_where_there_is_a_template():
    pytest.importorskip("ray")
    assert stood(WORKERS)[1:5] == ["-I", "-S", stand_in_worker.__file__, "name"]
    assert " ".join(stood(WORKERS)[5:]) == " ".join(stood(WORKERS, None)) == NODE[4].partition("=")[2]


@pytest.mark.parametrize("template", ["name", None])
def test_the_node_begins_no_workers_that_its_driver_would_wait_for(template):
    pytest.importorskip("ray")
    assert stood(BEGUN_BY_ITSELF, template) == ["0"]
    assert lean_command(NODE, template)[-1] == "--head"


def test_other_commands_and_other_rays_are_left_alone(monkeypatch):
    from ray import _raylet

    server = ["/ray/gcs_server", "--session_dir=/tmp/ray/s", f"--node_id={ID}"]
    assert lean_command(server, "name") == server
    without = [part for part in NODE if not part.startswith("--node_ip_address")]
    assert lean_command(without, "name") == without
    monkeypatch.delattr(_raylet, AGENTS[ASKED][0])
    assert lean_command(NODE, "name") == NODE


def test_the_installed_ray_starts_its_node_with_these_options():
    """Another one may have renamed them: then its agents are there again, and its start is to be measured anew."""
    from ray import _raylet
    from ray._private import services

    starting = inspect.getsource(services.start_raylet)
    for option in (*AGENTS, WORKERS, BEGUN_BY_ITSELF, "--node_id", "--node_ip_address", "--session_dir"):
        assert f'"{option}=' in starting, option
    assert all(hasattr(_raylet, name) for names in AGENTS.values() for name in names)
    assert _raylet.get_port_filename(ID, "a") != _raylet.get_port_filename(ID, "b")
    assert lean_node.ASKED in AGENTS


def begun(*arguments: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-I", "-S", stand_in_agent.__file__, *arguments]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)


def read_when_there(path: Path) -> str:
    deadline = time.monotonic() + SOON
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return path.read_text()


def test_an_agent_that_nobody_asks_says_that_it_offers_nothing(tmp_path):
    agent = begun("", str(tmp_path / "a"), str(tmp_path / "b"), "--", "nothing")
    try:
        assert [read_when_there(tmp_path / name) for name in "ab"] == ["-1", "-1"]
        assert agent.poll() is None
    finally:
        agent.kill()
        agent.wait()


def test_an_agent_that_is_asked_becomes_what_it_stands_for(tmp_path):
    command = [sys.executable, "-c", "import os, sys; print(os.getpid(), *sys.argv[1:])"]
    agent = begun("127.0.0.1", str(tmp_path / "a"), "--", *command, "--x=1", "--runtime-env-agent-port=0", "--y")
    port = read_when_there(tmp_path / "a")
    socket.create_connection(("127.0.0.1", int(port)), timeout=SOON).close()
    told, _ = agent.communicate(timeout=SOON)
    assert told.split() == [str(agent.pid), "--x=1", f"--runtime-env-agent-port={port}", "--y"]


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for the process in /proc")
def test_an_agent_ends_with_the_node(tmp_path):
    line = [sys.executable, "-I", "-S", stand_in_agent.__file__, "", str(tmp_path / "a"), "--"]
    node = f"import subprocess, sys, time; print(subprocess.Popen({line!r}).pid, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", node], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        agent = int(process.stdout.readline())
        read_when_there(tmp_path / "a")
        process.kill()
    deadline = time.monotonic() + SOON
    while is_there(agent):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_agent_of_a_node_that_has_ended_meanwhile_ends(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as node:
        node.wait()
    line = [sys.executable, "-I", "-S", stand_in_agent.__file__, "", str(tmp_path / "a"), "--"]
    subprocess.run(line, env=os.environ | {"RAY_RAYLET_PID": str(node.pid)}, timeout=SOON, check=True)


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
