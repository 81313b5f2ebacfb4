"""The Dockerfile's own lines, done in an environment of their own: what it installs, and that the kernels compile.

A stand-in where no Docker daemon is: files are copied and lines run as it says, but on this machine's system.
"""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "cluster" / "docker" / "Dockerfile"


def instructions(target: str) -> list[tuple[str, str]]:
    """(keyword, rest) of the stages that a target is made of, in order."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    text = re.sub(r"\\\n\s*", "", text)
    stages: dict[str, list[tuple[str, str]]] = {}
    for line in filter(None, text.split("\n")):
        keyword, _, rest = line.partition(" ")
        if keyword == "FROM":
            parent, _, name = rest.partition(" AS ")
            stages[name] = list(stages.get(parent, []))
            continue
        stages[name].append((keyword, rest.strip()))
    return stages[target]


def test_both_images_install_what_constraints_pin():
    for target, wanted in (("cpu", "'.[s3]'"), ("gpu", "'.[gpu,s3]'")):
        runs = [rest for keyword, rest in instructions(target) if keyword == "RUN"]
        (installs,) = [line for line in runs if line.startswith("pip install")]
        assert "--constraint constraints.txt" in installs
        assert installs.endswith(wanted)
    for name in re.findall(r"^COPY (.*) \S+$", DOCKERFILE.read_text(), re.MULTILINE):
        assert all((ROOT / part).exists() for part in name.split()), name


@pytest.mark.longest
def test_the_lines_of_the_cpu_image(tmp_path):
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the image has Python 3.11")
    try:
        urllib.request.urlopen("https://pypi.org/simple/pip/", timeout=10).close()
    except OSError as error:
        pytest.skip(f"needs PyPI: {error}")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    root, folder = tmp_path / "root", tmp_path / "root"
    environment = {
        "PATH": f"{tmp_path}/venv/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        **{name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "http", "HTTP"))},
    }
    for keyword, rest in instructions("cpu"):
        if keyword == "ENV":
            for name, value in re.findall(r"(\S+?)=(\S+)", rest):
                environment[name] = value.replace("/opt/", f"{root}/opt/")
            environment.pop("PIP_NO_CACHE_DIR", None)  # an image has no use for a cache, this machine has
        elif keyword == "WORKDIR":
            folder = root / rest.removeprefix("/")
            folder.mkdir(parents=True, exist_ok=True)
        elif keyword == "COPY":
            *names, _ = rest.split()
            for name in names:
                source, target = ROOT / name, folder / name
                shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
        elif keyword == "RUN" and not rest.startswith("groupadd"):  # users are the image's
            done = subprocess.run(["bash", "-ec", rest], cwd=folder, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{rest}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    compiled = list((root / "opt/winnow/kernels").rglob("*.nbc"))
    assert len(compiled) > 20
    line = ["winnow", "plan", "--help"]
    assert subprocess.run(line, cwd=folder, env=environment, capture_output=True).returncode == 0
    installed = next((tmp_path / "venv").rglob("site-packages/winnow/jobs/node_types.yaml"))
    assert installed.read_text() == (ROOT / "jobs/node_types.yaml").read_text()
