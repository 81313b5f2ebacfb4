"""Every snippet of docs/training.md is run with the library that it is about, and finds the run's first row."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

import winnow
from tests.formats.environments import LIBRARIES, python_of
from tests.formats.test_libraries import small_vocabulary
from tests.support.configs import run_config, source_of
from tests.support.corpora import articles

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
SNIPPETS = dict(re.findall(r"^```python\n# (\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
HERE = ("torch",)
"""Run with Winnow's own environment."""
READING = [*HERE, *(name for name, library in LIBRARIES.items() if library.reads_shards)]


def test_each_library_of_the_page_has_a_snippet_and_an_environment():
    assert set(SNIPPETS) == set(READING)
    sections = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    table = re.findall(r"^\| \[(.*?)\]\(#(.*?)\) \|", PAGE, re.MULTILINE)
    assert [name for name, _ in table] == sections
    assert [anchor for _, anchor in table] == [name.lower().replace(" ", "-") for name in sections]


@pytest.fixture(scope="module", params=["uint16", "uint32"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    config, _ = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (folder / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in articles(3, 200)))
    vocabulary = "o200k_base" if request.param == "uint32" else str(small_vocabulary(folder / "tokenizer.json"))
    sections = {"shards": yaml.safe_load(config)["shards"], "tokenise": {"encoding": vocabulary}}
    made = winnow.run(run_config(folder / "run", source_of(folder / "a.jsonl", "web"), **sections))
    assert made.manifest["shards"]["dtype"] == request.param
    return made


@pytest.mark.slow
@pytest.mark.formats
@pytest.mark.parametrize("name", READING)
def test_a_snippet_runs_as_it_stands(run, name, tmp_path):
    python = Path(sys.executable) if name in HERE else python_of(name)
    if not python.exists():
        pytest.skip(f"{LIBRARIES[name].pin} is not installed; `make test-formats` makes its environment")
    vocabulary = run.manifest["vocabulary"]
    program = (
        f"SHARDS, DTYPE = {str(Path(run.shards).resolve())!r}, {run.manifest['shards']['dtype']!r}\n"
        f"END_OF_TEXT, VOCABULARY = {vocabulary['end_of_text']}, {vocabulary['size']}\n{SNIPPETS[name]}\n"
        "import numpy, torch\nassert tokens.dtype == targets.dtype == torch.int64, (tokens.dtype, targets.dtype)\n"
        f"numpy.save({str(tmp_path / 'first.npy')!r}, first.numpy())\n"
    )
    (tmp_path / "snippet.py").write_text(program)
    quiet = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [python, "-W", "ignore", "snippet.py"],
        capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False, env=environment(name) | quiet,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first = np.load(tmp_path / "first.npy")
    shard = run.manifest["shards"]["splits"]["train"]["shards"][0]["path"]
    rows = np.array(pq.read_table(Path(run.shards) / shard)["input_ids"].to_pylist())
    if (
        name == "megatron"
    ):  # documents in an order of its own: each of its pairs of ids stands in the rows, or at a border
        known = set(zip(rows[:, :-1].ravel(), rows[:, 1:].ravel(), strict=True))
        within = [pair in known for pair in itertools.pairwise(first) if pair[0] != vocabulary["end_of_text"]]
        assert len(first) == 1024 and np.mean(within) > 0.99
    else:
        assert np.array_equal(first, rows[0, :1024])


def environment(name: str) -> dict[str, str]:
    """That of this process; only Winnow's own snippet sees Winnow."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH" or name in HERE}
