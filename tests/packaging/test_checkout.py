"""A checkout that is not installed: `python -m jobs.run` on this machine, and as a job of a cluster."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packaging.environments import ROOT, environment_without_winnow, output_of, plain_environment
from tests.support.clusters import ENVIRONMENT, Cluster, cluster
from tests.support.fault_runs import Runs

pytestmark = pytest.mark.slow


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
    return folder


def test_winnow_is_not_there_and_its_dependencies_are(python, tmp_path):
    done = subprocess.run(
        [str(python), "-c", "import pyarrow, ray, numba, winnow"],
        cwd=tmp_path,
        env=plain_environment(python),
        capture_output=True,
        text=True,
    )
    assert "No module named 'winnow'" in done.stderr


@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_jobs_run_in_a_checkout(python, runs, checkout, tmp_path, executor):
    runs.line(tmp_path, executor)
    line = [str(python), "-m", "jobs.run", str(tmp_path / "config.yaml")]
    output = output_of(line, checkout, plain_environment(python))
    assert "the books close" in output
    runs.holds(tmp_path)


@pytest.fixture(scope="module")
def there(python):
    with cluster(python=python) as running:
        yield running


def environment_of(there: Cluster, python: Path) -> dict[str, str]:
    ours = {name: value for name, value in ENVIRONMENT.items() if name not in ("PYTHONPATH", "PATH")}
    return plain_environment(python) | ours | {"RAY_API_SERVER_ADDRESS": there.address}


@pytest.mark.longest
def test_ray_job_submit_sends_the_checkout_along(there, python, runs, checkout, tmp_path):
    runs.line(tmp_path, "ray")
    shutil.copy(tmp_path / "config.yaml", checkout / "c.yaml")
    line = [
        str(python.parent / "ray"),
        "job",
        "submit",
        "--working-dir",
        ".",
        "--",
        "python",
        "-m",
        "jobs.run",
        "c.yaml",
    ]
    output = output_of(line, checkout, environment_of(there, python))
    assert "the books close" in output
    runs.holds(tmp_path)

    line = [str(python), "-m", "jobs", "submit", str(checkout / "c.yaml"), "--working-dir", str(checkout)]
    output = output_of(line, checkout, environment_of(there, python))
    assert "0 units computed" in output


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
