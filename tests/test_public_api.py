"""``import winnow``: which names there are, and that they do what the commands do."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import winnow
from winnow.runs.state import load_run

NOTEBOOK = Path(__file__).parents[1] / "examples" / "first_run.ipynb"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    texts = [f"Sentence {n} stands here, and it is as long as it has to be to say something. " * 20 for n in range(40)]
    rows = [{"id": f"doc-{n}", "text": text} for n, text in enumerate([*texts, texts[0], "short"])]
    (folder / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return winnow.run(
        {
            "run": str(folder / "run"),
            "sources": [{"name": "made", "path": str(folder / "in.jsonl"), "id": "id"}],
            "filter": {"gopher_repetition": "off", "c4": "off", "fineweb": "off"},
            "shards": {"sequence_tokens": 128, "splits": {"val": 0.2}},
            "compute": {"executor": "inline"},
        }
    )


def test_the_public_names():
    assert set(winnow.__all__) == {
        "Config",
        "ConfigError",
        "InputError",
        "Run",
        "Runs",
        "ShardDataset",
        "ShardError",
        "WinnowError",
        "filter",
        "mapper",
        "open",
        "run",
        "signal",
        "spans",
    }
    for name in winnow.__all__:
        assert getattr(winnow, name).__doc__, name
    with pytest.raises(AttributeError, match="it has: run, open"):
        _ = winnow.no_such_name


def test_import_winnow_loads_nothing_else():
    code = "import sys, winnow; loaded = [m for m in sys.modules if m.startswith('winnow.')]; assert not loaded, loaded"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_is_what_its_folder_holds(finished):
    opened = winnow.open(finished.path)
    assert opened.manifest == finished.manifest
    assert opened.outcomes == finished.outcomes == finished.manifest["books"]["outcomes"]
    assert sum(opened.outcomes.values()) == 42
    assert repr(opened) == f"winnow.open({finished.path!r})"
    assert opened.config == finished.config


def test_the_summary_is_printed_again(finished):
    assert winnow.open(finished.path).summary() == finished.summary()
    assert "42 records from 1 files" in finished.summary()


def test_tables_are_datasets(finished):
    assert {"documents", "signals", "decisions", "failures", "tokens"} <= set(finished.tables)
    decisions = finished.table("decisions").to_table().to_pandas()
    assert decisions.outcome.astype(str).value_counts().to_dict() == {k: v for k, v in finished.outcomes.items() if v}
    documents = finished.table("documents")
    assert documents.schema.field("text").type == pa.large_string()
    assert documents.count_rows() == 42
    for name in finished.tables:
        assert finished.table(name).count_rows() >= 0
    with pytest.raises(winnow.ConfigError, match=r"'embeddings': this run has none; there are: documents"):
        finished.table("embeddings")
    with pytest.raises(winnow.ConfigError, match="no such table"):
        finished.table("nonsense")


def test_explain(finished):
    story = finished.explain("doc-40")
    assert (story.outcome, story.keeper.id) == ("exact_duplicate", "doc-0")
    assert finished.explain("doc-41").failed_rules
    with pytest.raises(KeyError, match="ids are exact"):
        finished.explain("doc-4x")


def test_dataset(finished):
    tokens, targets = next(iter(finished.dataset("train", batch_size=2)))
    assert tokens.shape == targets.shape == (2, 128)
    with pytest.raises(winnow.ShardError):
        finished.dataset("nonsense")


def test_errors_have_one_base(finished, tmp_path):
    for wrong in ({}, {"run": "r"}, {"run": str(tmp_path), "sources": [{"name": "a", "path": str(tmp_path / "no")}]}):
        with pytest.raises(winnow.WinnowError) as refused:
            winnow.run(wrong)
        assert refused.value.exit_code == 2
    with pytest.raises(winnow.ConfigError, match="no such folder"):
        winnow.open(str(tmp_path / "none"))


def test_a_run_goes_on_from_yaml(finished, tmp_path):
    (tmp_path / "c.yaml").write_text(json.dumps(finished.config.model_dump(mode="json")))
    again = winnow.run(tmp_path / "c.yaml", ["shards.seed=8"])
    assert again.outcomes == finished.outcomes
    assert again.config.shards.seed == 8
    winnow.run(finished.config)
    with pytest.raises(winnow.ConfigError, match="overrides"):
        winnow.run(finished.config, ["shards.seed=8"])


def test_the_state_holds_all_that_the_manifest_says(finished):
    from winnow.report.manifest import manifest_of

    run = load_run(finished.path)
    assert manifest_of(run) == run.store.read(f"{run.shards}/manifest.json")


def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    names: dict = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert names["run"].outcomes["kept"] > 0


def test_the_demo_ends_with_three_things_to_try(finished):
    import shlex

    import typer

    from jobs.__main__ import app
    from jobs.demo import read_on

    lines = read_on(load_run(finished.path))
    assert len(lines) == 3
    assert lines[0].startswith("1 of 42 documents are duplicates of others")
    program = typer.main.get_command(app)
    for line in lines:
        for call in re.findall(r"winnow [a-z][^,]*", line):
            name, *words = shlex.split(call)[1:]
            known = {option for parameter in program.commands[name].params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= known, call


@pytest.mark.slow
def test_the_demo_runs(tmp_path):
    command = [sys.executable, "-m", "jobs", "demo", "--mb", "1"]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(NOTEBOOK.parents[1]), str(NOTEBOOK.parents[1] / "pipeline")])
    }
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=900)
    assert done.returncode == 0, done.stderr
    *_, path, first, second, third = done.stdout.splitlines()
    assert path == f"{tmp_path.resolve()}/demo-run/reports/report.html"
    assert Path(path).is_file()
    assert all("winnow " in line for line in (first, second, third))
