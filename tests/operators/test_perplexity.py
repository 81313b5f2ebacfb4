"""``use: perplexity`` in runs, with a model that ``winnow train-ngram`` made; and what is refused."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.operators.runs import config, corpus, done, failures, shards, signals, write_input
from tests.support.commands import winnow
from tests.support.small_work import many_units
from winnow.config.load import load_config
from winnow.config.operators import pin_operators
from winnow.errors import ConfigError

TARGET = {"use": "perplexity", "name": "target", "model": "models/target.arpa", "tokens": "words"}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("target")
    corpus(folder, 30)
    rows = [json.loads(line) for line in (folder / "web.jsonl").read_text().splitlines()][:15]
    (folder / "good.jsonl").write_text("".join(json.dumps({"body": row["text"]}) + "\n" for row in rows) + "{\n")
    out = folder / "target.arpa"
    code, said = winnow("train-ngram", str(folder / "good.jsonl"), "--out", str(out), "--text", "body")
    assert code == 0, said
    assert f"{len(rows)} documents" in said and "WARNING: 1 records could not be read" in said
    assert f"- {{use: perplexity, model: {out}, tokens: words}}" in said
    return out.read_bytes()


@pytest.fixture
def folder(tmp_path, model) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/target.arpa").write_bytes(model)
    corpus(tmp_path, 30)
    return tmp_path


def test_perplexities_are_signals_for_rules(folder):
    values = ["perplexity", "bits_per_word", "bits_per_byte", "unknown"]
    every = {**TARGET, "name": "every", "values": values}
    rules = [{"signal": "target", "max_quantile": 0.5}, {"signal": "every.unknown", "max": 0.5, "name": "odd"}]
    _, finished = done(config(folder, [TARGET, every], rules, dedup="off"))
    rows = signals(finished)
    found = np.array([[row[f"every.{name}"] for name in values] for row in rows.values()])
    np.testing.assert_array_equal([row["target"] for row in rows.values()], found[:, 0])
    np.testing.assert_allclose(np.log2(found[:, 0]), found[:, 1], rtol=1e-5)
    sizes = np.array([len(row["text"].encode()) for row in rows.values()])
    words = found[:, 2] * sizes / found[:, 1]
    np.testing.assert_allclose(words, np.round(words), atol=0.01)
    assert ((found[:, 3] >= 0) & (found[:, 3] < 1)).all() and (found[:, 3] > 0).any()
    cut = np.sort(found[:, 0])[int(np.ceil(len(found) / 2)) - 1]
    failed = failures(finished)
    assert {n for n, f in failed.items() if "max_target" in f} == {
        n for n, v in zip(rows, found[:, 0], strict=True) if v > cut
    }
    trained = np.arange(len(found)) < 15
    assert np.median(found[trained, 0]) < np.median(found[~trained, 0])


@pytest.mark.slow
def test_bytes_do_not_depend_on_units(folder, monkeypatch):
    rules = [{"signal": "target", "max_quantile": 0.7}]
    _, one = done(config(folder, [TARGET], rules, name="one"))
    many_units(monkeypatch)
    _, many = done(config(folder, [TARGET], rules, name="many"))
    assert len(many.of("measure")) > 1 == len(one.of("measure"))
    assert shards(one) == shards(many)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"model": "models/none.arpa"}, r"none\.arpa: No such file"),
        ({"model": 3}, "is no path"),
        ({"model": "web.jsonl"}, "does not begin with"),
        ({"model": "models/binary.bin"}, "whose tokens are `whitespace`"),
        ({"model": "models/cut.arpa"}, r"cut\.arpa: was cut short"),
        ({"tokens": "bytes"}, "neither whitespace nor words"),
        ({"sentences": "page"}, "neither line nor document"),
        ({"value": "loss"}, "none of perplexity, bits_per_word, bits_per_byte, unknown"),
        ({"values": "unknown"}, "is no list"),
        ({"values": ["unknown", "unknown"]}, "names one twice"),
        ({"modle": "x"}, "did you mean 'model'"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(folder, model, entry, message):
    (folder / "models/cut.arpa").write_bytes(model[:-100])
    (folder / "models/binary.bin").write_bytes(b"mmap lm http://kheafield.com/code format version 5\n\0")
    with pytest.raises(ConfigError, match=message):
        done(config(folder, [{**TARGET, **entry}]))
    assert not (folder / "run").exists()


def test_a_model_that_is_damaged_within_ends_the_command_with_code_2(folder, model):
    (folder / "models/target.arpa").write_bytes(model.replace(b"\n\\3-grams:", b"\nx\n\\3-grams:"))
    write_input(folder, ["a text"])
    code, said = winnow("run", str(config(folder, [TARGET])))
    assert code == 2 and "target.arpa: is damaged" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "x.bin"], "expected the path of a file, ending with .arpa"),
        (["--min-count", "2", "--min-count", "1"], "numbers that do not fall"),
        (["--text", "other"], "no words to train on|other"),
    ],
)
def test_training_that_cannot_be_ends_with_code_2(folder, options, message):
    code, said = winnow("train-ngram", str(folder / "web.jsonl"), *options)
    assert code == 2 and re.search(message, said) and "Traceback" not in said


def test_training_gives_the_same_bytes_and_takes_orders_and_plain_text(folder):
    (folder / "text").mkdir()
    (folder / "text/a.txt").write_text("one two three\none two four\n" * 5)
    for name in ("a", "b"):
        options = ["--min-count", "1", "--min-count", "1", "--tokens", "whitespace", "--sentences", "document"]
        code, said = winnow("train-ngram", str(folder / "text"), "--out", str(folder / f"{name}.arpa"), *options)
        assert code == 0 and "n-grams: 7 of 1" in said and "tokens: whitespace, sentences: document}" in said
    assert (folder / "a.arpa").read_bytes() == (folder / "b.arpa").read_bytes()


def test_the_settings_of_the_page_hold(folder):
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    said = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)]
    (entries,) = [
        [e for e in block["measure"]["operators"] if e["use"] == "perplexity"]
        for block in said
        if any(e["use"] == "perplexity" for e in block.get("measure", {}).get("operators", []))
    ]
    shutil.copy(folder / "models/target.arpa", folder / "models/wiki.arpa")
    found = pin_operators(load_config(str(config(folder, entries)), [])).measure.operators
    assert found[0].found.columns == ("target",)
    assert found[1].found.columns == ("wiki.bits_per_byte", "wiki.unknown")
