"""docs/story.md: its configs are those of examples/, its commands run in their order, and print what the page shows."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "story.md").read_text()
PARTS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SMALLER = {
    "winnow ablate": "--set train.tokens=4096 --set train.seeds=1 --set compute.executor=inline",
    "python examples/train_gpt.py": "--steps 2 --report 1",
}
"""Of what trains: the commands run, their figures are those of other machines and more steps."""
WIDE = {"COLUMNS": "200", "OMP_NUM_THREADS": "1"}


def example(name: str) -> dict:
    return yaml.safe_load((ROOT / "examples" / f"{name}.yaml").read_text())


def test_the_configs_of_the_page_are_those_of_the_examples():
    first, learned, plan = (yaml.safe_load(text) for language, text in PARTS if language == "yaml")
    assert first == example("story")
    assert example("story_second") == {**first, **learned, "run": "runs/story-second"}
    assert plan == example("story_ablation")


def plain(text: str) -> str:
    """Without the lines of tables and the width of columns."""
    return " ".join(re.sub(r"[│┃]", " ", text).split())


@pytest.mark.slow
def test_the_commands_print_what_the_page_shows(shared, tmp_path):
    """Every line of a shown output is in that of the commands right before it."""
    for needed in ("torch", "sklearn", "resiliparse"):
        pytest.importorskip(needed, reason=f"{needed} is not installed (extras `ablate`, `web`)")
    (tmp_path / "shared").symlink_to(shared)
    here = tmp_path / "here"
    shutil.copytree(ROOT / "examples", here / "examples")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in (("winnow", "-m jobs"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        (programs / name).chmod(0o755)
    environment = {**os.environ, **WIDE, "PATH": f"{programs}:{os.environ['PATH']}"}
    said: list[str] = []
    trains = checked = False
    for language, text in PARTS:
        if language == "sh":
            said, trains = [], False
            for line in text.splitlines():
                fewer = [more for beginning, more in SMALLER.items() if line.startswith(beginning)]
                trains = trains or bool(fewer)
                done = subprocess.run(
                    f"{line} {' '.join(fewer)}", shell=True, cwd=here, env=environment, capture_output=True, text=True
                )
                # compare ends as diff does
                assert done.returncode == int(line.startswith("winnow compare")), (line, done.stderr)
                said += map(plain, done.stdout.splitlines())
        elif language == "text" and not trains:
            checked = True
            for line in text.splitlines():
                assert line == "..." or any(plain(line) in one for one in said), line
    assert checked
