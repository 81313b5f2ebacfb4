"""Workers of a private Ray as forks of one process; a small program stands for Ray's own."""

import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.many_descriptors import many_descriptors
from winnow.engine.executors import stand_in_worker
from winnow.engine.executors.stand_in_worker import program_of
from winnow.engine.executors.worker_template import WorkerTemplate

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
SOON = 60.0
PROGRAM = """
import json, os, sys
drawn = None
if "ray._raylet" in sys.modules:
    drawn = [
        sys.modules["ray._raylet"].UniqueID.from_random().hex(),
        sys.modules["ray.actor"].ActorClassID.from_random().hex(),
    ]
print(json.dumps({
    "arguments": sys.argv[1:], "name": __name__, "folder": os.getcwd(), "own group": os.getpgid(0) == os.getpid(),
    "told": os.environ.get("TOLD"), "job": os.environ.get("RAY_JOB_ID"), "threads": os.environ.get("OMP_NUM_THREADS"),
    "forked": "winnow.engine.executors.worker_template" in sys.modules, "loaded": "colorsys" in sys.modules,
    "drawn": drawn, "data": "ray.data" in sys.modules, "killed first": open("/proc/self/oom_score_adj").read().strip(),
}), flush=True)
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "worker.py"
    path.write_text(PROGRAM)
    return str(path)


def ask(template: str, program: str, *options: str, folder: Path, **environment: str) -> dict:
    """What a worker says that is begun as Ray's node does it."""
    setup = str(Path(program).with_name("setup_worker.py"))  # it runs what follows
    Path(setup).write_text("import os, sys; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])")
    line = [sys.executable, "-I", "-S", stand_in_worker.__file__, template, sys.executable, setup, program, *options]
    variables = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"} | environment
    done = subprocess.run(line, stdout=subprocess.PIPE, timeout=SOON, env=variables, cwd=folder, check=True)
    return json.loads(done.stdout)  # it ends when the worker has, too: that one writes into the same pipe


def test_a_fork_is_the_worker_that_ray_wanted(program, tmp_path):
    template = WorkerTemplate(("colorsys", "no_such_module"))
    told = {"TOLD": "x", "RAY_JOB_ID": "ffffffff", "RAY_RAYLET_PID": "1"}
    first, second = (
        ask(template.name, program, f"--id={number}", "--language=PYTHON", folder=tmp_path, **told) for number in "12"
    )
    # else one would find an object that it stores there already
    assert len({*first["drawn"], *second["drawn"]}) == 4
    assert first | {"drawn": None} == {
        "arguments": ["--id=1"],
        "name": "__main__",
        "folder": str(tmp_path),
        "own group": True,  # which Ray's node ends with it
        "told": "x",
        "job": "ffffffff",
        "threads": None,  # Ray sets it for the task
        "forked": True,
        "loaded": True,
        "drawn": None,
        "data": True,
        "killed first": "1000",
    }
    # Ray's C++ was loaded with what the first was told, and would say the same to all
    other = ask(template.name, program, "--language=PYTHON", folder=tmp_path, **told | {"RAY_JOB_ID": "01000000"})
    assert not other["forked"]
    assert (other["job"], other["arguments"]) == ("01000000", ["--language=PYTHON"])
    again = ask(template.name, program, folder=tmp_path, **told)
    assert again["forked"]


def test_workers_end_with_the_driver(tmp_path):
    """Whatever has become of Ray's node."""
    path, begun = tmp_path / "worker.py", tmp_path / "begun"
    path.write_text(f"import os, time; open({str(begun)!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    template = WorkerTemplate(())
    with subprocess.Popen(
        [sys.executable, "-I", "-S", stand_in_worker.__file__, template.name, "python", path]
    ) as call:
        assert call.wait(SOON) == 0
    deadline = time.monotonic() + SOON
    while not (begun.exists() and begun.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    worker = os.pidfd_open(int(begun.read_text()))
    template._control.close()
    assert template.process.wait(SOON) == 0
    ended = select.poll()
    ended.register(worker, select.POLLIN)
    assert ended.poll(SOON * 1000)
    os.close(worker)


def test_a_driver_may_hold_many_files_open(program, tmp_path):
    with many_descriptors():
        template = WorkerTemplate(())
        assert ask(template.name, program, folder=tmp_path)["forked"]
        template._control.close()
        assert template.process.wait(SOON) == 0


def test_callers_that_give_up_leave_nothing_open(program, tmp_path):
    template = WorkerTemplate(())
    assert ask(template.name, program, folder=tmp_path)["forked"]

    def held() -> int:
        """Descriptors; not those of forks, of which one or two may be about to end."""
        open_files = Path(f"/proc/{template.process.pid}/fd")
        return sum("pidfd" not in os.readlink(place) for place in open_files.iterdir())

    before = held()
    data = json.dumps({"program": [program], "environment": dict(os.environ), "folder": str(tmp_path)}).encode()
    for sent in (data, data[:9], b"{}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.connect(f"\0{template.name}")
            socket.send_fds(caller, [len(sent).to_bytes(8, "little")], [0, 1, 2])
            caller.sendall(sent)
    assert ask(template.name, program, folder=tmp_path)["forked"]  # those before have had their turn
    assert held() == before


def test_descriptors_of_forks_that_have_ended_are_closed(program, tmp_path):
    template = WorkerTemplate(())
    for _ in range(8):
        assert ask(template.name, program, folder=tmp_path)["forked"]
    open_files = Path(f"/proc/{template.process.pid}/fd")
    assert sum("pidfd" in os.readlink(place) for place in open_files.iterdir()) < 4  # the last ones may be about to end


def test_ids_that_all_forks_would_draw_leave_workers_to_ray(program, tmp_path):
    template = WorkerTemplate(("ray.data",))
    assert not ask(template.name, program, folder=tmp_path)["forked"]


def test_without_a_template_ray_starts_its_workers(program, tmp_path):
    said = ask("nobody-listens", program, "--id=1", folder=tmp_path, TOLD="x")
    assert not said["forked"]
    assert (said["arguments"], said["told"]) == (["--id=1"], "x")


def test_a_worker_with_an_environment_of_its_own_is_left_to_ray():
    own = ["python", "/ray/setup_worker.py", "/ray/default_worker.py", "--a", "--language=PYTHON"]
    assert program_of(own) == ["/ray/default_worker.py", "--a"]
    assert program_of([*own, '--serialized-runtime-env-context={"env_vars": {}}']) == []


def test_one_that_has_given_up_gets_no_worker(program, tmp_path):
    """It has begun its own, of the same id."""
    template = WorkerTemplate(())
    asked = {"program": [program, str(tmp_path)], "environment": dict(os.environ), "folder": str(tmp_path)}
    data = json.dumps(asked).encode()
    written = tmp_path / "written"
    with written.open("wb") as file, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.connect(f"\0{template.name}")
        socket.send_fds(caller, [len(data).to_bytes(8, "little")], [file.fileno()] * 3)
        caller.sendall(data)
    assert ask(template.name, program, folder=tmp_path)["forked"]  # it has come to the next
    time.sleep(0.2)
    assert written.read_bytes() == b""


@pytest.mark.parametrize("ends", [True, False])
def test_no_worker_is_begun_for_a_node_that_has_ended(tmp_path, ends):
    """A driver that is killed takes the node and the template with it."""
    written, name = tmp_path / "written", f"winnow-test-{os.getpid()}-{ends}"
    worker = [sys.executable, "-c", f"open({str(written)!r}, 'w').write('x')"]
    line = [sys.executable, "-I", "-S", stand_in_worker.__file__, name, *worker]
    node = f"import subprocess, sys; subprocess.Popen({line!r}); print(flush=True); sys.stdin.read()"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as template:
        template.bind(f"\0{name}")
        template.listen()
        with subprocess.Popen([sys.executable, "-c", node], stdin=subprocess.PIPE) as process:
            caller, _ = template.accept()
            beginning = Path(
                f"/proc/{struct.unpack('3i', caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]}"
            )
            if ends:
                process.kill()
                process.wait()
            caller.close()
            deadline = time.monotonic() + SOON
            while beginning.exists() and "Z" not in (beginning / "stat").read_text().rpartition(")")[2][:3]:
                assert time.monotonic() < deadline
                time.sleep(0.01)
    assert written.exists() != ends


@pytest.mark.skipif(os.getuid() != 0, reason="calls as somebody else")
def test_nobody_else_is_answered(program, tmp_path):
    template = WorkerTemplate(())
    call = """if True:
        import os, socket, sys
        os.setuid(65534)
        caller = socket.socket(socket.AF_UNIX)
        caller.connect(chr(0) + sys.argv[1])
        try:
            caller.sendall(bytes(8))
            print(caller.recv(1))
        except (BrokenPipeError, ConnectionResetError):
            print(b"")
        """
    said = subprocess.run([sys.executable, "-c", call, template.name], capture_output=True, text=True, timeout=SOON)
    assert said.stdout == "b''\n"
    assert ask(template.name, program, folder=tmp_path)["forked"]


def test_it_ends_with_the_driver():
    template = WorkerTemplate(())
    template._control.close()
    assert template.process.wait(SOON) == 0
