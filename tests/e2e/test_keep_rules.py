"""Which of several duplicates stays: each rule of ``dedup.keep`` as a user would say it, in whole runs."""

import json
import random

import pytest

from tests.support.configs import run_config, source_of, unread_config
from tests.support.corpora import article
from tests.support.finished import texts_and_decisions
from winnow import schemas
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.runs.run import run
from winnow.runs.state import load_run

BODY = article(random.Random(5), 80)


def variant(number: int) -> str:
    """The body with one word of its own: a near-duplicate of every other variant, and as long."""
    return BODY.replace("harbour", f"harb{number:02d}r", 1)


CURLY = "{ } "
"""Fails a rule of C4 (curly brackets) and holds no word."""

FAMILY = {
    # config order of the sources is "second", "first": the opposite of the alphabet
    "second": {"plain": CURLY + variant(1)},
    "first": {
        "earliest": CURLY + variant(2),
        "longest": CURLY + variant(3) + " And so it went on for another while.",
        "fewest failures": variant(4),
        "copy": CURLY + variant(2),
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("family")
    for source, texts in FAMILY.items():
        lines = [json.dumps({"id": name, "text": text}) for name, text in texts.items()]
        (folder / f"{source}.jsonl").write_text("\n".join(lines))
    return folder


def kept(folder, tmp_path, keep, sources=("second", "first"), verify="estimate") -> list[str]:
    config = run_config(
        tmp_path / "run",
        *(source_of(f"{folder}/{name}.jsonl", name, id="id") for name in sources),
        dedup={"verify": verify, "guard": "off"} | ({} if keep is None else {"keep": keep}),
        shards={"sequence_tokens": 127},
    )
    run(parse_config(config))
    finished = load_run(config["run"])
    texts, decisions = texts_and_decisions(finished)
    names = {text: name for texts in FAMILY.values() for name, text in texts.items() if name != "copy"}
    found = [names[texts[doc]] for doc, row in decisions.items() if row["outcome"] == schemas.KEPT]
    assert len(decisions) == 5 and len(found) == 1  # one family, one survivor
    return found


@pytest.mark.parametrize("verify", ["estimate", "exact"])
@pytest.mark.parametrize(
    ("keep", "stays"),
    [
        (["source_priority"], "plain"),  # the only one of the source that stands first in the config
        (["longest"], "longest"),
        (["highest_quality"], "fewest failures"),
        (["source_priority", "longest"], "plain"),
        (["longest", "source_priority"], "longest"),
        (["highest_quality", "longest"], "fewest failures"),
        (None, "plain"),  # as `winnow init` writes it: source_priority, highest_quality, longest, first
    ],
)
def test_what_stays(folder, tmp_path, keep, stays, verify):
    assert kept(folder, tmp_path, keep, verify=verify) == [stays]


@pytest.mark.parametrize("keep", [["first"], [], ["first", "longest"]])
def test_the_earliest_file_and_row_stays_where_nothing_else_decides(folder, tmp_path, keep):
    assert kept(folder, tmp_path / "a", keep) == ["plain"]
    assert kept(folder, tmp_path / "b", keep, sources=("first", "second")) == ["earliest"]  # files are listed by source


def test_a_tie_goes_to_the_next_rule_and_at_last_to_the_earliest(folder, tmp_path):
    one_source = ("first",)
    config = {"source_priority": ["source_priority", "longest"], "ties": ["source_priority"]}
    for name, stays in (("source_priority", "longest"), ("ties", "earliest")):
        (tmp_path / name).mkdir()
        merged = [json.loads(line) for source in FAMILY for line in (folder / f"{source}.jsonl").open()]
        merged.sort(key=lambda row: row["id"] != "earliest")
        (tmp_path / name / "first.jsonl").write_text("\n".join(json.dumps(row) for row in merged))
        assert kept(tmp_path / name, tmp_path / name, config[name], one_source) == [stays]


def test_an_unknown_rule_is_refused():
    with pytest.raises(ConfigError, match=r"keep\.0.*source_priority"):
        parse_config(unread_config(dedup={"keep": ["best"]}))
