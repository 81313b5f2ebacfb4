"""The wheel: one name, all files, and nothing that a repository with folders of the same names could shadow."""

import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from tests.packaging.environments import DEPENDENCIES, ROOT, output_of, plain_environment
from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from winnow.config.config import parse_config
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.version import winnow_version

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy: a build leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("pipeline", "jobs"):
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md"):
        shutil.copy(ROOT / name, folder / "source")
    line = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    output_of([*line, "--wheel-dir", str(folder), "."], folder / "source", plain_environment())
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder with what the wheel installs, as pip puts it there."""
    folder = tmp_path_factory.mktemp("site")
    line = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", str(folder)]
    output_of([*line, str(wheel)], folder, plain_environment())
    return folder


@pytest.fixture
def repository(tmp_path) -> Path:
    """Somebody's training repository, with folders of its own called `pipeline` and `jobs`."""
    folder = tmp_path / "repository"
    for name in ("pipeline", "jobs"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"WHOSE = 'ours: {name}'\n")
    return folder


def test_only_winnow_is_in_the_wheel(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"winnow", f"winnow_corpus-{winnow_version()}.dist-info"}
    assert {"winnow/py.typed", "winnow/jobs/node_types.yaml", "winnow/jobs/__main__.py"} <= set(names)
    here = {path.relative_to(ROOT / "pipeline").as_posix() for path in (ROOT / "pipeline" / "winnow").rglob("*.py")}
    here |= {f"winnow/jobs/{path.name}" for path in (ROOT / "jobs").glob("*.py")}
    assert {name for name in names if name.endswith(".py")} == here


def test_a_repository_with_folders_of_the_same_names_imports_and_reads(installed, repository, tmp_path):
    write_sample(tmp_path / "data", 20)
    run(parse_config(sample_config(tmp_path / "data", tmp_path / "run", shards={"sequence_tokens": 63})))
    shards = tmp_path / "run" / load_run(str(tmp_path / "run")).shards
    environment = plain_environment() | {"PYTHONPATH": f"{installed}:{DEPENDENCIES}"}
    program = f"""
import winnow, pipeline, jobs, sys
assert (pipeline.WHOSE, jobs.WHOSE) == ("ours: pipeline", "ours: jobs")
assert winnow.__file__.startswith({str(installed)!r}), winnow.__file__
from winnow.shards import ShardRows
rows = ShardRows({str(shards)!r}, "train")
print(len(rows), len(rows[0][0]))
"""
    (repository / "train.py").write_text(program)
    rows, tokens = output_of([sys.executable, "-S", "train.py"], repository, environment).split()
    assert int(rows) > 5 and tokens == "63"
    command = [sys.executable, "-S", str(installed / "bin" / "winnow")]
    assert output_of([*command, "--version"], repository, environment) == f"winnow {winnow_version()}\n"
    module = [sys.executable, "-S", "-m", "winnow", "--version"]
    assert output_of(module, repository, environment) == f"winnow {winnow_version()}\n"
    (repository / "c.yaml").write_text(f"run: {tmp_path}/other\nsources: [{{name: s, path: {tmp_path}/data/notes}}]\n")
    assert "units" in output_of([*command, "plan", "c.yaml"], repository, environment)


def test_the_version_of_a_checkout_is_its_own(repository):
    line = [sys.executable, "-m", "jobs", "--version"]
    assert output_of(line, ROOT, plain_environment()) == f"winnow {winnow_version()}\n"
    assert f'version = "{winnow_version()}"' in (ROOT / "pyproject.toml").read_text()
