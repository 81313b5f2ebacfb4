"""Documents whose ids look like the numbers of others."""

import json

import pytest

import winnow
from tests.support.commands import winnow as command
from tests.support.configs import run_config, source_of
from winnow.config.config import parse_config
from winnow.finished.explain import find
from winnow.runs.run import run
from winnow.runs.state import load_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("why")
    texts = [f"Document {n} says what no other one of these says, {n * n} times." for n in range(4)]
    ids = ["3", "a", "²", "1"]  # of rows 0 to 3, whose numbers are 0 to 3
    lines = [json.dumps({"id": name, "text": text}) for name, text in zip(ids, texts, strict=True)]
    lines.append('{"id": "1", "text": 5}')
    (folder / "in.jsonl").write_text("\n".join(lines) + "\n")
    config = run_config(folder / "run", source_of(folder / "in.jsonl", id="id"), shards={"sequence_tokens": 31})
    run(parse_config(config | {"compute": {"executor": "inline", "max_unreadable_share": 1}}))
    return str(folder / "run")


def test_a_number_is_told_apart_from_an_equal_id(folder):
    records = load_run(folder)
    assert find(records, "3") == [0]
    assert find(records, "3", by_number=True) == [3]
    assert find(records, "0") == find(records, "0", by_number=True) == [0]
    assert find(records, "a", by_number=True) == []
    assert find(records, "²") == [2]
    for name in ("²", "٣", "-1", "9" * 30, "9" * 5000, "1.0", ""):
        assert find(records, name, by_number=True) == []


def test_the_command_and_the_interface(folder):
    code, told = command("why", "3", folder)
    assert (code, "row 0" in told, "--number tells of the document with that number" in told) == (0, True, True)
    code, told = command("why", "3", folder, "--number")
    assert (code, "row 3" in told, "--number" in told) == (0, True, False)
    code, told = command("why", "1", folder)
    assert (code, "row 3" in told, "unreadable: " in told) == (0, True, True)
    code, told = command("why", "1", folder, "--number")
    assert (code, "row 1" in told, "unreadable: " in told) == (0, True, False)
    assert command("why", "0", folder)[1].count("--number") == 0
    assert command("why", "7", folder, "--number")[0] == 2
    opened = winnow.open(folder)
    assert (opened.explain("3").row, opened.explain(3).row, opened.explain(0).row) == (0, 3, 0)
