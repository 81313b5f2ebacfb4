"""Classes of operators are made once before any document is read: a model that was cut short blames none of them."""

import json
import logging

import pytest

from tests.operators.runs import computed, config, corpus, done, signals
from tests.support.commands import winnow
from winnow.config.load import load_config
from winnow.config.operators import pin_operators
from winnow.errors import ConfigError
from winnow.flow import operators
from winnow.operators.loading import NotMade, not_made

OPS = """
import json, os, signal, sys
from pathlib import Path
import winnow

@winnow.signal
class Weights:
    def __init__(self, model):
        print("noise of a library")
        self.weights = json.loads(Path(model).read_text())
        if "WINNOW_TEST_MADE" in os.environ:
            with open(os.environ["WINNOW_TEST_MADE"], "a") as file:
                file.write(".")

    def __call__(self, batch):
        return [sum(self.weights.get(word, 0) for word in text.split()) for text in batch["text"].to_pylist()]

@winnow.signal
class Ending:
    def __init__(self, how):
        if how == "exits":
            sys.exit(3)
        if how == "imports":
            import no_such_package
        os.kill(os.getpid(), getattr(signal, how))

    def __call__(self, batch):
        return [1] * batch.num_rows

@winnow.signal
def plain(batch):
    return [1] * batch.num_rows
"""


@pytest.fixture
def folder(tmp_path):
    corpus(tmp_path, 12)
    (tmp_path / "my_ops.py").write_text(OPS)
    (tmp_path / "model.json").write_text(json.dumps({"number": 1.5}))
    return tmp_path


@pytest.mark.slow
def test_a_model_that_was_cut_short_is_refused_and_no_document_is_blamed(folder, monkeypatch):
    log = folder / "log"
    monkeypatch.setenv("WINNOW_TEST_MADE", str(log))
    whole = (folder / "model.json").read_text()
    (folder / "model.json").write_text(whole[:-4])
    path = config(folder, [{"use": "my_ops.py:Weights", "model": "model.json"}])
    code, told = winnow("run", str(path))
    assert code == 2, told
    assert "Weights: its class cannot be made with its settings: JSONDecodeError" in told
    assert not list((folder / "run").glob("work/measure/*/*")) and not (folder / "run" / "quarantine").exists()
    (folder / "model.json").write_text(whole)
    context, finished = done(path)
    assert not context.run.total("measure", "unreadable") and len(signals(finished)) > 10
    made = log.read_text()
    context, _ = done(path, "shards.seed=9")  # where nothing is to be measured no model is loaded
    assert "measure" not in computed(context) and log.read_text() == made


@pytest.mark.parametrize(
    ("how", "what", "elsewhere"),
    [
        ("SIGSEGV", "its process is ended by SIGSEGV", False),
        ("exits", "its process ends with 3", False),
        ("imports", "ModuleNotFoundError: No module named 'no_such_package'", True),
    ],
)
def test_what_ends_its_process_does_not_end_the_run(folder, how, what, elsewhere):
    loaded = pin_operators(load_config(str(config(folder, [{"use": "my_ops.py:Ending", "how": how}])), []))
    assert not_made(loaded.measure.operators[0].found) == NotMade(what, elsewhere)


def test_functions_have_nothing_to_be_made(folder, monkeypatch):
    monkeypatch.setattr("winnow.operators.loading.subprocess", None)
    loaded = pin_operators(load_config(str(config(folder, [{"use": "my_ops.py:plain"}])), []))
    assert not_made(loaded.measure.operators[0].found) is None


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_this_machine_lacks_the_nodes_of_a_cluster_may_have(folder, monkeypatch, caplog, joined, elsewhere):
    loaded = pin_operators(load_config(str(config(folder, [{"use": "my_ops.py:Weights", "model": "model.json"}])), []))
    monkeypatch.setattr(operators, "joins_cluster", lambda: joined)
    monkeypatch.setattr(operators, "not_made", lambda _operator: NotMade("ImportError: fasttext", elsewhere))
    if joined and elsewhere:
        with caplog.at_level(logging.WARNING, "winnow"):
            operators.check_classes(loaded)
        assert "the cluster's nodes will try" in caplog.text
    else:
        with pytest.raises(ConfigError, match="cannot be made with its settings: ImportError: fasttext"):
            operators.check_classes(loaded)
