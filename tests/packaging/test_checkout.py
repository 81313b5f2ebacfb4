"""A checkout that is not installed: `python -m jobs.run` on this machine, and as a job of a cluster."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packaging.environments import ROOT, environment_without_winnow, output_of, plain_environment
from tests.support.clusters import ENVIRONMENT, Cluster, cluster
from tests.support.fault_runs import Runs

pytestmark = pytest.mark.slow
HOOK = """
import os
from pathlib import Path

def hook(point, **where):
    if point == "stage":  # no stage is too small for workers
        from winnow.engine import engine

        engine.TINY_STAGE_BYTES = 0
    if point == "committed":
        import winnow

        Path(os.environ["TOLD"], str(os.getpid())).write_text(winnow.__file__)
"""
"""Who did units, and where each process has Winnow from."""


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    return environment_without_winnow(tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp("checkout"), documents=300)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sent") / "winnow"
    for package in ("jobs", "pipeline"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (folder / "told.py").write_text(HOOK)
    return folder


@pytest.fixture
def told(tmp_path) -> dict[str, str]:
    """What every process of a run needs to know of the hook."""
    (tmp_path / "told").mkdir()
    return {"WINNOW_FAULT_HOOK": "told:hook", "TOLD": str(tmp_path / "told")}


def homes(told: dict[str, str]) -> list[str]:
    """Where the processes that did units had Winnow from."""
    return [path.read_text() for path in Path(told["TOLD"]).iterdir()]


def test_winnow_is_not_there_and_its_dependencies_are(python, tmp_path):
    done = subprocess.run(
        [str(python), "-c", "import pyarrow, ray, numba, winnow"],
        cwd=tmp_path,
        env=plain_environment(python),
        capture_output=True,
        text=True,
    )
    assert "No module named 'winnow'" in done.stderr


@pytest.mark.parametrize(("executor", "processes"), [("inline", 1), ("ray", 2)])
def test_jobs_run_in_a_checkout(python, runs, checkout, tmp_path, told, executor, processes):
    runs.line(tmp_path, executor)
    line = [str(python), "-m", "jobs.run", str(tmp_path / "config.yaml")]
    output = output_of(line, checkout, plain_environment(python) | told)
    assert "the books close" in output
    runs.holds(tmp_path)
    assert len(homes(told)) >= processes
    assert set(homes(told)) == {str(checkout / "pipeline" / "winnow" / "__init__.py")}


@pytest.fixture(scope="module")
def there(python):
    with cluster(python=python) as running:
        yield running


def environment_of(there: Cluster, python: Path) -> dict[str, str]:
    ours = {name: value for name, value in ENVIRONMENT.items() if name not in ("PYTHONPATH", "PATH")}
    return plain_environment(python) | ours | {"RAY_API_SERVER_ADDRESS": there.address}


@pytest.mark.longest
@pytest.mark.parametrize("command", ["ray job submit", "winnow submit"])
def test_a_job_sends_the_checkout_along(there, python, runs, checkout, tmp_path, told, command):
    runs.line(tmp_path, "ray")
    shutil.copy(tmp_path / "config.yaml", checkout / "c.yaml")
    if command == "ray job submit":
        line = [str(python.parent / "ray"), "job", "submit", "--working-dir", "."]
        line += ["--runtime-env-json", json.dumps({"env_vars": told}), "--", "python", "-m", "jobs.run", "c.yaml"]
    else:
        line = [str(python), "-m", "jobs", "submit", "c.yaml", "--working-dir", "."]
        line += [f"--env={name}={value}" for name, value in told.items()]
    output = output_of(line, checkout, environment_of(there, python))
    assert "the books close" in output
    runs.holds(tmp_path)
    assert len(homes(told)) >= 2
    assert all("/py_modules_files/" in home or "/working_dir_files/" in home for home in homes(told)), homes(told)


@pytest.mark.longest
def test_submit_without_a_folder_says_that_winnow_is_not_installed_there(there, python, runs, checkout, tmp_path):
    runs.line(tmp_path, "ray")
    done = subprocess.run(
        [str(python), "-m", "jobs", "submit", str(tmp_path / "config.yaml")],
        cwd=checkout,
        env=environment_of(there, python),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "--working-dir" in done.stderr, done.stdout + done.stderr
