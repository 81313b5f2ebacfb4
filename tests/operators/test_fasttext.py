"""``use: fasttext`` in runs: columns, rules, what is computed again, and what is refused before any work is done."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.operators.runs import computed, config, done, failures, shards, signals, write_input
from tests.support.commands import winnow
from tests.support.fasttext_models import PLAIN, asked, library, odd_texts, train
from tests.support.small_work import many_units
from winnow.config.load import load_config
from winnow.config.operators import pin_operators
from winnow.errors import ConfigError
from winnow.finished.explain import explain, find

CLOSE = 4e-7


@pytest.fixture
def folder(tmp_path, tmp_path_factory) -> Path:
    """An input, and models beside the config."""
    made = tmp_path_factory.getbasetemp() / "fasttext-models"
    made.mkdir(exist_ok=True)
    (tmp_path / "models").mkdir()
    for kind in ("two", "softmax"):
        shutil.copy(train(made, kind), tmp_path / "models")
    texts = [text.replace("\x00", " ").replace("\t", "\n") for text in odd_texts(300)]
    write_input(tmp_path, [f"{text}\nw{n} number {n}" for n, text in enumerate(texts)])
    return tmp_path


EDU = {"use": "fasttext", "name": "edu", "model": "models/two.bin", "label": "__label__a"}
TOPIC = {"use": "fasttext", "name": "topic", "model": "models/softmax.bin", "labels": ["c", "__label__a"]}


def test_probabilities_are_signals_for_rules_and_for_why(folder):
    rules = [{"signal": "edu", "min_quantile": 0.5}, {"signal": "topic.c", "max": 0.9, "name": "topical"}]
    _, finished = done(config(folder, [EDU, {**TOPIC, "newlines": "delete", "characters": 40}], rules))
    rows = signals(finished)
    whole = [row["text"].replace("\n", " ") for row in rows.values()]
    begun = [row["text"].replace("\n", "")[:40] for row in rows.values()]
    edu = asked(str(folder / "models/two.bin"), whole, ["__label__a"])[:, 0]
    topic = asked(str(folder / "models/softmax.bin"), begun, ["__label__c", "__label__a"])
    np.testing.assert_allclose([row["edu"] for row in rows.values()], edu, rtol=0, atol=CLOSE)
    columns = [[row["topic.c"], row["topic.a"]] for row in rows.values()]
    np.testing.assert_allclose(np.array(columns, float), topic, rtol=0, atol=CLOSE)
    assert any("\n" in row["text"] for row in rows.values())
    failed = failures(finished)
    middle = np.sort(edu)[int(np.ceil(len(edu) / 2)) - 1]
    assert sum("min_edu" in rules for rules in failed.values()) == (edu < middle - CLOSE).sum() > 10
    assert {name for name, rules in failed.items() if "topical" in rules} == {
        name for name, value in zip(rows, topic[:, 0], strict=True) if value > 0.9
    }
    name = next(iter(rows))
    (doc,) = find(finished, name)
    assert dict(explain(finished, doc).signals)["edu"] == rows[name]["edu"]
    assert finished.manifest["operators"]["edu"]["documents"] == len(rows)


@pytest.mark.slow
def test_bytes_do_not_depend_on_units(folder, monkeypatch):
    rules = [{"signal": "edu", "min_quantile": 0.5}, {"signal": "topic.a", "max_quantile": 0.9}]
    _, one = done(config(folder, [EDU, TOPIC], rules, name="one"))
    many_units(monkeypatch)
    _, many = done(config(folder, [EDU, TOPIC], rules, name="many"))
    assert len(many.of("measure")) > 1 == len(one.of("measure"))
    assert shards(one) == shards(many)


@pytest.mark.slow
def test_another_model_of_the_same_name_measures_again(folder):
    _, finished = done(config(folder, [EDU]))
    before = {name: row["edu"] for name, row in signals(finished).items()}
    content = bytearray((folder / "models/two.bin").read_bytes())
    content[-40:] = content[-80:-40]  # both labels are the same now
    (folder / "models/two.bin").write_bytes(content)
    changed, finished = done(config(folder, [EDU]))
    assert "measure" in computed(changed)
    after = {name: row["edu"] for name, row in signals(finished).items()}
    assert before != after and set(after.values()) == {np.float32(0.50001)}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"label": "hq"}, r"two\.bin: has no label 'hq'; it has __label__\w, __label__\w"),
        ({"label": None}, r"names no label: give `label`, or several as `labels`; the model has __label__"),
        ({"labels": ["a"]}, "label and labels are both given"),
        ({"label": None, "labels": "a"}, "is no list"),
        ({"label": None, "labels": ["a", "__label__a"]}, "names a label twice"),
        ({"label": False}, r"label \(False\) is no text"),
        ({"newlines": "keep"}, "neither space nor delete"),
        ({"characters": 0}, "no number from 1 on"),
        ({"characters": True}, "no number from 1 on"),
        ({"model": "models/none.bin"}, "none.bin: No such file or directory; a path is taken from"),
        ({"model": "./models"}, "Is a directory"),
        ({"model": 3}, "is no path"),
        ({"model": "web.jsonl"}, "is no fastText model"),
        ({"lable": "a"}, "did you mean 'label'"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(folder, entry, message):
    given = {key: value for key, value in {**EDU, **entry}.items() if value is not None}
    with pytest.raises(ConfigError, match=message):
        done(config(folder, [given]))
    assert not (folder / "run").exists()


def test_a_model_that_was_cut_short_ends_the_command_with_code_2(folder):
    whole = (folder / "models/two.bin").read_bytes()
    (folder / "models/two.bin").write_bytes(whole[:-100])
    code, said = winnow("run", str(config(folder, [EDU])))
    assert code == 2 and "two.bin: was cut short, or is damaged" in said and "Traceback" not in said


def test_the_settings_of_the_page_hold(folder):
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (said,) = [block for block in blocks if "use: fasttext" in block]
    for name, labels in (("edu.bin", ("hq", "cc")), ("topics.ftz", ("science", "law", "art"))):
        lines = "".join(f"__label__{labels[n % len(labels)]} w{n} w{n % 7}\n" for n in range(300))
        (folder / "lines.txt").write_text(lines)
        model = library().train_supervised(str(folder / "lines.txt"), **PLAIN)
        if name.endswith(".ftz"):
            model.quantize(input=str(folder / "lines.txt"), verbose=0)
        model.save_model(str(folder / "models" / name))
    written = yaml.safe_load(said)
    path = config(folder, written["measure"]["operators"], written["filter"]["rules"])
    found = pin_operators(load_config(str(path), [])).measure.operators
    assert [entry.found.columns for entry in found] == [("edu",), ("topic.science", "topic.law")]
