"""What a class reads by its settings (``needs(**settings)``): given to it, and looked at before any work is done."""

import pytest

from tests.operators.runs import config, done, signals, write_input
from tests.support.commands import winnow
from winnow.config.load import load_config
from winnow.config.operators import pin_operators

OPS = """
from pathlib import Path

import winnow

def names_in(fields, listed=None):
    if not fields and listed is None:
        raise ValueError("fields is empty; name some that `keep` names")
    return [*fields, *(Path(listed).read_text().split() if listed else [])]

class Reads:
    def __init__(self, fields, listed=None):
        self.fields = names_in(fields, listed)

    needs = staticmethod(names_in)

@winnow.signal(needs=["no_such_column"], columns=["letters", "language"])
class Letters(Reads):
    def __call__(self, batch):
        texts = zip(*(batch[name].to_pylist() for name in self.fields))
        letters = [sum(len(text or "") for text in row) for row in texts]
        return {"letters": letters, "language": ["language" in batch.schema.names] * batch.num_rows}

@winnow.mapper
class Mapper(Reads):
    def __call__(self, batch):
        return batch["text"]

@winnow.filter
class Filter(Reads):
    def __call__(self, batch):
        return [True] * batch.num_rows

@winnow.spans(columns=["kind"])
class Spans(Reads):
    def __call__(self, batch):
        return [[] for _ in range(batch.num_rows)]

@winnow.signal
class AllOfIt(Letters):
    needs = staticmethod(lambda fields: None)

    def __call__(self, batch):
        return ["language" in batch.schema.names] * batch.num_rows

@winnow.signal
class OneName(Letters):
    needs = staticmethod(lambda fields: "text")

@winnow.signal
class Numbers(Letters):
    needs = staticmethod(lambda fields: [1])
"""
TEXT = "A text that says a little, and then it says a little more of it, number {}."


@pytest.fixture
def given(tmp_path):
    """A config with operators: names and settings."""
    (tmp_path / "my_ops.py").write_text(OPS)
    write_input(tmp_path, [TEXT.format(n) for n in range(4)], title=["a", "bb", None, "dddd"], url=["u"] * 4)

    def made(**operators):
        sources = [{"name": "web", "path": str(tmp_path / "web.jsonl"), "id": "id", "keep": ["title", "url"]}]
        entries = [
            {"use": f"my_ops.py:{name}", "name": f"op{n}", **settings}
            for n, (name, settings) in enumerate(operators.items())
        ]
        return config(tmp_path, entries, dedup="off", sources=sources)

    return made


@pytest.mark.slow
def test_what_settings_name_is_read_and_no_language_is_looked_for_in_vain(given):
    both = {"fields": ["title", "url"]}
    rows = signals(done(given(Letters=both, AllOfIt=both))[1])
    assert [rows[f"web{n}"]["op0.letters"] for n in range(4)] == [2, 3, 1, 5]
    for name, seen in (("op0.language", 0), ("op1", 1)):
        assert {row[name] for row in rows.values()} == {seen}


def test_what_is_read_is_what_its_settings_say_with_files_as_this_machine_has_them(given, tmp_path, monkeypatch):
    (tmp_path / "fields.txt").write_text("title url")
    monkeypatch.setattr("winnow.operators.find.fetched", lambda address, storage: tmp_path / "fields.txt")
    afar = {"fields": [], "listed": "s3://bucket/fields.txt"}
    pinned = pin_operators(load_config(str(given(Letters=afar, Filter={"fields": ["url"]}, AllOfIt={"fields": []}))))
    assert [entry.found.needs for entry in pinned.measure.operators] == [("title", "url"), ("url",), None]


@pytest.mark.parametrize("name", ["Letters", "Mapper", "Filter", "Spans"])
def test_every_kind_is_refused_where_a_column_is_missing(given, tmp_path, name):
    code, told = winnow("run", str(given(**{name: {"fields": ["text", "titel"]}})))
    assert code == 2 and "needs the column 'titel'; did you mean 'title'" in " ".join(told.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Letters", "fields is empty; name some that `keep` names"),
        ("OneName", "needs() gives 'text'; expected a list of names, such as ['text']"),
        ("Numbers", "needs() gives [1]; expected a list of names"),
    ],
)
def test_what_no_class_can_read_is_refused_before_any_work(given, tmp_path, name, says):
    code, told = winnow("run", str(given(**{name: {"fields": []}})))
    assert code == 2 and says in " ".join(told.split())
    assert not (tmp_path / "run").exists()
