"""How many workers a machine gets, and where their sockets lie."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from winnow.engine.executors import cores, private_ray
from winnow.errors import ClusterError

ROOT = Path(__file__).parents[2]


def test_cores_are_those_of_the_affinity(monkeypatch, tmp_path):
    monkeypatch.setattr(cores, "_CGROUPS", tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 9}, raising=False)
    assert cores.usable_cores() == private_ray.cores_of("auto") == 3
    assert private_ray.cores_of(7) == 7


def test_a_pinned_process_has_the_cores_it_is_pinned_to():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    code += "from winnow.engine.executors.private_ray import cores_of; print(cores_of('auto'))"
    env = os.environ | {"PYTHONPATH": str(ROOT / "pipeline")}
    assert subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True).stdout == "1\n"


@pytest.mark.parametrize(
    ("files", "membership", "expected"),
    [
        ({}, "0::/\n", 8),
        ({"cpu.max": "max 100000"}, "0::/\n", 8),
        ({"cpu.max": "200000 100000"}, "0::/\n", 2),
        ({"cpu.max": "150000 100000"}, "0::/\n", 2),
        ({"cpu.max": "50000 100000"}, "0::/\n", 1),
        ({"cpu.max": "9900000 100000"}, "0::/\n", 8),
        ({"cpu.max": "rubbish"}, "rubbish", 8),
        ({"slurm/job/cpu.max": "max 100000", "slurm/cpu.max": "300000 100000"}, "0::/slurm/job\n", 3),
        ({"cpu/docker/a/cpu.cfs_quota_us": "400000", "cpu/docker/a/cpu.cfs_period_us": "100000"}, None, 4),
        ({"cpu/docker/a/cpu.cfs_quota_us": "-1", "cpu/docker/a/cpu.cfs_period_us": "100000"}, None, 8),
        ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, "4:memory:/x\n", 4),
    ],
)
def test_cores_of_a_container(monkeypatch, tmp_path, files, membership, expected):
    for name, content in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(f"{content}\n")
    (tmp_path / "membership").write_text("5:cpu,cpuacct:/docker/a\n" if membership is None else membership)
    monkeypatch.setattr(cores, "_CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(cores, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert cores.usable_cores() == expected


def test_nothing_else_counts_the_machine_s_cores():
    """What counts them goes through `usable_cores`."""
    counted = ("cpu_count()", "process_cpu_count", "multiprocessing.cpu_count")
    for path in [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "jobs").rglob("*.py")]:
        if path.name != "cores.py":
            assert not any(name in path.read_text() for name in counted), path


def test_a_temporary_folder_that_is_too_long_for_sockets(monkeypatch, tmp_path, caplog):
    longest = "/" + "x" * (private_ray.MAX_TEMPORARY_BYTES - 1)
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    for name in ("TMPDIR", "RAY_TMPDIR"):
        monkeypatch.setenv(name, longest)
        assert private_ray._short_temporary_folder() is None
        monkeypatch.setenv(name, longest + "x")
        monkeypatch.setattr(private_ray, "SHORT_FOLDERS", ("/proc/nowhere", str(tmp_path)))
        assert private_ray._short_temporary_folder() == f"{tmp_path}/winnow-ray-{os.getuid()}/r"
        assert "Ray's sockets have room for" in caplog.text
    monkeypatch.setattr(private_ray, "SHORT_FOLDERS", ("/proc/nowhere",))
    with pytest.raises(ClusterError, match="set RAY_TMPDIR to a folder with a short path"):
        private_ray._short_temporary_folder()


@pytest.mark.slow
@pytest.mark.ray
def test_ray_starts_under_a_long_temporary_folder(tmp_path, monkeypatch):
    long = tmp_path / ("long" * 30)
    long.mkdir()
    code = "from winnow.engine.executors import private_ray; private_ray.finish_start(1)\n"
    code += "import ray; print(ray.get(ray.remote(lambda: 7).remote()), flush=True)\n"
    code += "import os; private_ray.leave_ray(); os._exit(0)"
    env = os.environ | {"PYTHONPATH": str(ROOT / "pipeline"), "TMPDIR": str(long)}
    env.pop("RAY_ADDRESS", None)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert done.stdout == "7\n", done.stderr
    monkeypatch.setenv("TMPDIR", str(long))
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    assert private_ray._short_temporary_folder() is not None  # Ray has changed the rights of what it was given
