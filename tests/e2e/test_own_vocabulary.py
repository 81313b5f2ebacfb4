"""``winnow train-tokenizer``, then a run with what it made."""

import orjson
import pytest
import yaml
from typer.testing import CliRunner

from jobs.__main__ import app
from tests.support.configs import run_config, source_of
from tests.support.corpora import write_sample
from winnow.config.load import load_config
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.runs.train_tokeniser import CONFIG, JSON, RANKS, REPORT, train_vocabulary


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Writes a config over a small sample; returns its path."""
    write_sample(tmp_path / "in", 150)

    def write(run_folder="run", **sections):
        path = tmp_path / f"{run_folder}.yaml"
        web = source_of(tmp_path / "in" / "web*", "web", id="url")
        fixed = {"compute": {"max_unreadable_share": 0.5}, "shards": {"sequence_tokens": 63}}
        values = run_config(tmp_path / run_folder, web, **fixed | sections)
        path.write_text(yaml.safe_dump(values))
        return str(path)

    return write


def test_a_vocabulary_is_trained_and_used(config, tmp_path):
    out = tmp_path / "tokenizer"
    result = CliRunner().invoke(app, ["train-tokenizer", config(), "--out", str(out), "--size", "700"])
    assert result.exit_code == 0, result.output
    assert "700 ids" in result.output
    assert {path.name for path in out.iterdir()} == {RANKS, JSON, REPORT, CONFIG}
    report = orjson.loads((out / REPORT).read_bytes())
    whole, *parts = report["compression"]
    assert whole["bytes_a_token"]["own"] > 2
    assert {part["source"] for part in parts} == {"web", ""}
    assert sum(part["documents"] for part in parts if part["source"]) == whole["documents"]
    # judged by text that did not train it, also where the sample asked for is all there is
    assert 0 < whole["documents"] < report["sample_documents"] / 3

    settings = yaml.safe_load((out / CONFIG).read_text())
    context = run(load_config(config(**settings)))
    reused = {summary.name: summary.reused for summary in context.engine.summaries}
    assert reused["measure"] and reused["decide"]  # cleaned once
    manifest = load_run(context.config.run).manifest
    assert manifest["shards"]["dtype"] == "uint16"
    assert (manifest["vocabulary"]["size"], manifest["vocabulary"]["end_of_text"]) == (700, 699)


@pytest.mark.slow
def test_the_same_bytes_for_other_units(config, tmp_path):
    def trained(name, seed=7, **compute):
        compute = {"executor": "inline", "max_unreadable_share": 0.5, **compute}
        train_vocabulary(
            load_config(config(name, compute=compute)), 700, 1, "o200k", seed, str(tmp_path / f"{name}-out")
        )
        return [(tmp_path / f"{name}-out" / file).read_bytes() for file in (RANKS, JSON)]

    assert trained("a") == trained("b", unit_mb=1)


def test_bad_arguments(config):
    def code(*options):
        result = CliRunner().invoke(app, ["train-tokenizer", config(), *options])
        return result.exit_code, result.output

    assert code("--size", "200")[0] == 2
    assert code("--compare", "no-such")[0] == 2
    nothing = code("--set", "filter.mode=filter", "--set", "filter.gopher_quality.min_words=100000")
    assert nothing[0] == 2
    assert "nothing to train on" in nothing[1]
