"""``use: classifier`` in runs, after dedup on CPU; and what is refused before any work is done."""

import random
import re
import shutil

import numpy as np
import pytest

from tests.operators.runs import config, done, shards, write_input
from tests.support.classifiers import WORDS, change_config, outputs_of, save_classifier
from tests.support.commands import winnow
from tests.support.small_work import many_units
from winnow.errors import ConfigError
from winnow.finished.explain import explain
from winnow.finished.tables import table_of

EDU = {"use": "classifier", "name": "edu", "model": "models/edu"}
TOPIC = {"use": "classifier", "name": "topic", "model": "models/topic", "labels": ["high", 0], "max_tokens": 20}


@pytest.fixture
def folder(tmp_path):
    save_classifier(tmp_path / "models/edu", labels=("LABEL_0",))
    save_classifier(tmp_path / "models/topic")
    draw = random.Random(6)
    write_input(tmp_path, [" ".join(draw.choices(WORDS, k=draw.randrange(5, 200))) for _ in range(80)])
    return tmp_path


def test_scores_are_signals_for_rules_why_and_exports(folder):
    rules = [{"signal": "edu", "min_quantile": 0.5}, {"signal": "topic.high", "max": 0.99}]
    documents = {"formats": ["jsonl.zst"], "columns": ["id", "edu", "topic.low"]}
    _, finished = done(config(folder, [EDU, TOPIC], rules, documents=documents))
    texts = {row["doc"]: row["text"] for row in table_of(finished, "documents").to_table().to_pylist()}
    rows = {row["doc"]: row for row in table_of(finished, "screen_signals").to_table().to_pylist()}
    edu = outputs_of(str(folder / "models/edu"), [texts[doc] for doc in rows], 66)[:, 0]
    powers = np.exp(outputs_of(str(folder / "models/topic"), [texts[doc] for doc in rows], 20))
    topic = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose([row["edu"] for row in rows.values()], edu, rtol=0, atol=2e-5)
    found = np.array([[row["topic.low"], row["topic.high"]] for row in rows.values()])
    np.testing.assert_allclose(found, topic[:, [0, 2]], rtol=0, atol=1e-5)
    kept = {row["doc"] for row in table_of(finished, "tokens").to_table(columns=["doc"]).to_pylist()}
    cut = np.sort(edu)[int(np.ceil(len(edu) / 2)) - 1]
    expected = {doc for doc, e, t in zip(rows, edu, topic[:, 2], strict=True) if e >= cut - 2e-5 and t <= 0.99}
    assert kept == expected and 0 < len(kept) < len(rows)
    doc = next(iter(kept))
    assert dict(explain(finished, doc).signals)["edu"] == pytest.approx(rows[doc]["edu"])
    assert finished.manifest["operators"]["edu"]["documents"] == len(rows)


@pytest.mark.slow
def test_bytes_do_not_depend_on_units(folder, monkeypatch):
    rules = [{"signal": "edu", "min_quantile": 0.5}]
    _, one = done(config(folder, [EDU, TOPIC], rules, name="one"))
    many_units(monkeypatch)
    _, many = done(config(folder, [EDU, TOPIC], rules, name="many"))
    assert len(many.of("screen_signals")) > 1 == len(one.of("screen_signals"))
    assert shards(one) == shards(many)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"model": "models/none"}, "is no folder of this machine"),
        ({"model": "models/edu/config.json"}, "is no folder of this machine"),
        ({"model": "models/topic"}, "names no label: give `label`, or several as `labels`; the model has 'low', 'mid'"),
        ({"model": "models/topic", "label": "hq"}, r"has no label 'hq'; it has 0 'low', 1 'mid', 2 'high'"),
        ({"model": "models/topic", "label": 3}, "has no label 3"),
        ({"model": "models/topic", "labels": ["low", 0]}, "names a label twice"),
        ({"label": 0, "labels": [0]}, "label and labels are both given"),
        ({"score": "softmin"}, "is none of auto, softmax, sigmoid, raw"),
        ({"precision": "fp8"}, "is none of fp32, bf16"),
        ({"max_tokens": 0}, "no number from 1 on"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_any_work(folder, entry, message):
    with pytest.raises(ConfigError, match=message):
        done(config(folder, [{**EDU, **entry}]))
    assert not (folder / "run").exists()


def cut(model):
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-50])


def headless(model):
    import transformers

    transformers.AutoModel.from_pretrained(str(model)).save_pretrained(str(model))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (cut, "it was cut short or altered"),
        (headless, "its weights lack classifier"),
        (lambda m: change_config(m, id2label={"0": "a", "1": "b"}, label2id={"a": 0, "b": 1}), "is of the size"),
        (lambda m: change_config(m, auto_map={"AutoModel": "x.Y"}), "needs code of its own"),
        (lambda m: (m / "model.safetensors").rename(m / "pytorch_model.bin"), "weights are pickled"),
        (lambda m: (m / "tokenizer.json").unlink(), "no tokenizer.json"),
    ],
)
def test_models_that_cannot_be_used_are_refused_before_any_work(folder, break_it, message):
    break_it(folder / "models/edu")
    with pytest.raises(ConfigError, match=message):
        done(config(folder, [{**EDU, "label": 0}]))
    assert not (folder / "run").exists()


@pytest.mark.slow
def test_a_model_that_a_worker_has_no_memory_for_ends_the_command_with_code_2(folder):
    shutil.rmtree(folder / "models/edu")
    save_classifier(folder / "models/edu", labels=("LABEL_0",), intermediate_size=600_000)
    small = {"worker_memory_mb": 256}
    code, said = winnow("run", str(config(folder, [EDU], compute=small)))
    assert code == 2 and re.search(r"its model takes 3\d\d MB of memory, and compute.worker_memory_mb is 256", said)
    assert not (folder / "run").exists()
