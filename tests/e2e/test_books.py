"""Books that do not close end the run, say where, and publish nothing: one wrong counter at a time."""

import json
import shutil

import pytest
import yaml

from tests.support.commands import winnow
from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from winnow.config.config import parse_config
from winnow.errors import BooksError
from winnow.flow.flow import close_books
from winnow.flow.step import Balance
from winnow.runs.run import run
from winnow.runs.state import load_run


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("books")
    write_sample(folder / "data", 40)
    run(parse_config(sample_config(folder / "data", folder / "run")))
    return folder


@pytest.fixture
def folder(reference, tmp_path):
    """A finished run of this test's own, over the same input."""
    shutil.copytree(reference / "run", tmp_path / "run")
    return tmp_path


def config(reference, folder) -> dict:
    return sample_config(reference / "data", folder / "run")


def tamper(folder, stage: str, counter: str, by: int) -> None:
    """Change a counter in the first record of a stage that has it."""
    for path in json.loads((folder / "run/state.json").read_text())["records"][stage]:
        record = json.loads((folder / "run" / path).read_text())
        if counter in record["counters"]:
            record["counters"][counter] += by
            (folder / "run" / path).write_text(json.dumps(record))
            return
    raise LookupError(f"no record of {stage} counts {counter}")


@pytest.mark.parametrize(
    ("stage", "counter", "by", "says"),
    [
        ("measure", "readable/web", 1, "outcomes of source web"),
        ("filter", "documents", -1, "documents filtered against readable"),
        ("keepers", "removed", -1, "duplicates decided against duplicates found"),
        ("decide", "outcome/kept", -1, "outcomes against readable documents"),
        ("decide", "outcome/exact_duplicate", 1, "duplicates decided against duplicates found"),
        ("decide", "source/books/kept", -1, "outcomes of source books"),
        ("decide", "copies", 1, "documents shuffled against copies of kept"),
        ("tokenise", "documents", -1, "documents tokenised against kept"),
        ("shuffle", "documents", -1, "documents shuffled against copies of kept"),
        ("shuffle", "documents/train", 1, "documents of all splits against shuffled"),
        ("shuffle", "tokens/train", -1, "tokens of all splits against shuffled"),
        ("shards", "tokens", -1, "tokens"),
    ],
)
def test_a_wrong_counter_ends_the_run_and_is_named(reference, folder, stage, counter, by, says):
    tamper(folder, stage, counter, by)
    state = (folder / "run/state.json").read_bytes()
    for manifest in (folder / "run/shards").glob("*/manifest.json"):
        manifest.unlink()
    with pytest.raises(BooksError, match="the books do not close; nothing was published") as told:
        run(parse_config(config(reference, folder)))
    assert says in str(told.value)
    assert (folder / "run/state.json").read_bytes() == state
    assert not list((folder / "run/shards").glob("*/manifest.json"))
    assert not (folder / "run/lease.json").exists()


def test_without_a_wrong_counter_the_same_run_publishes(reference, folder):
    run(parse_config(config(reference, folder)))
    assert sum(load_run(str(folder / "run")).manifest["books"]["outcomes"].values()) > 0


def test_the_command_ends_with_code_1_and_names_the_equation(reference, folder):
    tamper(folder, "decide", "outcome/kept", 1)
    (folder / "c.yaml").write_text(yaml.safe_dump(config(reference, folder)))
    code, output = winnow("run", str(folder / "c.yaml"))
    assert code == 1, output
    assert "the books do not close" in output
    assert "outcomes against readable documents" in output


def test_every_open_equation_is_listed_and_no_closed_one():
    close_books([Balance("a", 3, 3)])
    with pytest.raises(BooksError) as told:
        close_books([Balance("a", 3, 3), Balance("b", 4, 3), Balance("c", 0, 1_000)])
    assert "b: 4 expected, 3 found" in str(told.value) and "c: 0 expected, 1,000 found" in str(told.value)
    assert "a: " not in str(told.value).split("\n", 1)[1]
