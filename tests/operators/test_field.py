"""``use: field``: numbers and words that the records hold, as signals for rules; and what is refused."""

import pytest

from tests.operators.runs import config, done, failures, signals, write_input
from tests.support.archives import page, write_archive
from tests.support.commands import winnow
from winnow.config.load import load_config
from winnow.config.operators import pin_operators
from winnow.errors import ConfigError
from winnow.runs.run import run

TEXT = "A text that says a little, and then it says a little more of it, number {}."


def test_a_field_that_is_kept_is_a_signal(tmp_path):
    given = [1.5, "2", True, None, "n/a", "nan", 1e400, False]
    write_input(tmp_path, [TEXT.format(n) for n in range(8)], score=given)
    operators = [
        {"use": "field", "name": "edu", "field": "score"},
        {"use": "field", "name": "odd", "field": "score", "values": ["2", "n/a"]},
    ]
    sources = [{"name": "web", "path": str(tmp_path / "web.jsonl"), "id": "id", "keep": ["score"]}]
    rules = [{"signal": "edu", "min": 1}, {"signal": "odd", "max": 0}]
    _, finished = done(config(tmp_path, operators, rules, dedup="off", sources=sources))
    rows = signals(finished)
    assert [rows[f"web{n}"]["edu"] for n in range(8)] == [1.5, 2.0, 1.0, None, None, None, None, 0.0]
    assert [rows[f"web{n}"]["odd"] for n in range(8)] == [0.0, 1.0, 0.0, None, 1.0, 0.0, 0.0, 0.0]
    assert {name: set(rules) for name, rules in failures(finished).items() if rules} == {
        "web7": {"min_edu"},
        "web1": {"max_odd"},
        "web4": {"max_odd"},
    }


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"field": "scores"}, "needs the column 'scores'.*did you mean 'score'"),
        ({"field": 3}, "field .3. is no name"),
        ({"field": "score", "values": "2"}, "values .'2'. is no list"),
        ({"field": "score", "values": [2]}, "write numbers in quotes"),
        ({"fields": "score"}, "fields: did you mean 'field'"),
    ],
)
def test_what_is_no_field_is_refused(tmp_path, given, says):
    write_input(tmp_path, [TEXT.format(0)], score=[1])
    sources = [{"name": "web", "path": str(tmp_path / "web.jsonl"), "keep": ["score"]}]
    path = config(tmp_path, [{"use": "field", "name": "edu", **given}], sources=sources)
    with pytest.raises(ConfigError, match=says):
        pin_operators(load_config(str(path)))


def test_how_a_page_was_read_is_told_of_it_and_a_signal(tmp_path):
    items = "".join(f"<li><a href=/{n}>Entry number {n} of the index</a></li>" for n in range(60))
    index = f"<html><body><nav><ul>{items}</ul></nav></body></html>".encode()
    broken = page(1, sentences=30).replace(b"sentence 3", "sentence of Gr\xfc\xdfe aus K\xf6ln".encode() + b" \xfc 3")
    write_archive(tmp_path / "a.warc.gz", [page(0, sentences=30), broken, index])
    keep = ["url", "charset", "charset_from", "replaced", "extraction"]
    sources = [{"name": "crawl", "path": str(tmp_path / "a.warc.gz"), "keep": keep}]
    operators = [
        {"use": "field", "name": "lost", "field": "replaced"},
        {"use": "field", "name": "all_of_it", "field": "extraction", "values": ["all text, for little main text"]},
    ]
    rules = [{"signal": "lost", "max": 0}, {"signal": "all_of_it", "max": 0}]
    run(load_config(str(config(tmp_path, operators, rules, dedup="off", sources=sources))))
    told = [winnow("why", f"<urn:uuid:00000000-0000-4000-8000-{n:012d}>", str(tmp_path / "run"))[1] for n in range(3)]
    for n, (story, how, lost) in enumerate(
        zip(told, ("main", "main", "all text, for little main text"), "010", strict=True)
    ):
        assert f"url: http://example.org/{n}\n" in story and "charset: utf_8\n" in story
        assert f"extraction: {how}\n" in story and f"replaced: {lost}\n" in story
    assert "outcome    kept" in told[0]
    assert "rule       max_lost: value 1, threshold 0" in told[1]
    assert "rule       max_all_of_it: value 1, threshold 0" in told[2]
