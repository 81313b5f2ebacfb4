"""A component stays in one split: where that moves a split far from its share, the summary says so."""

import json
import random

import pytest

from tests.support.configs import run_config, source_of
from tests.support.corpora import SUBJECTS, articles
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.flow.decide import STEP
from winnow.runs.run import run
from winnow.stages.tables import read_parquet

PROMPT = " ".join(f"Rule {n}: {SUBJECTS[n % 7]} must answer question {n * 37} in its own words." for n in range(60))


def chats(count: int) -> list[dict]:
    rng = random.Random(4)
    texts = [" ".join(f"w{rng.randrange(10**6)}" for _ in range(40)) for _ in range(count)]
    return [
        {
            "talk": [
                {"role": "system", "content": PROMPT},
                {"role": "user", "content": text[:90]},
                {"role": "assistant", "content": text[90:]},
            ]
        }
        for text in texts
    ]


def finished(folder, records, fields, splits, **sections):
    folder.mkdir(exist_ok=True)
    (folder / "in.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    shards = {"splits": splits, "sequence_tokens": 128, **sections.pop("shards", {})}
    config = run_config(folder / "run", source_of(folder / "in.jsonl", "in", **fields), shards=shards, **sections)
    return run(parse_config(config)).run


def warned(found) -> list[str]:
    return [str(alarm) for alarm in STEP.alarms(found)]


def test_chats_with_one_system_prompt(tmp_path):
    dedup = {"threshold": 0.95, "minhash": {"bands": 64, "rows": 4}}
    found = finished(tmp_path / "with", chats(200), {"messages": "talk"}, {"val": 0.1}, dedup=dedup)
    (line,) = warned(found)
    assert "split val has 0 of 200 kept documents (0.00%), its share is 10.00%" in line or "has 200 of 200" in line
    assert "that of document " in line and "holds 200 (100.0% of all), all in split " in line
    assert "compare_system: false" in line

    fields = {"messages": "talk", "compare_system": False}
    without = finished(tmp_path / "without", chats(200), fields, {"val": 0.1}, dedup=dedup)
    assert warned(without) == []
    assert 5 <= without.totals("decide", "split")["val"] <= 40
    text = read_parquet(without.store, without.parts[0].documents)["text"][0].as_py()
    assert PROMPT not in text and text.startswith("w")
    # the shards have the system turns all the same
    assert without.total("tokenise", "tokens") == found.total("tokenise", "tokens") > 0


def test_shares_that_chance_explains_are_not_mentioned(tmp_path):
    texts = [{"text": text} for text in articles(8, 300)]
    found = finished(tmp_path / "many", texts, {}, {"val": 0.1, "test": 0.05})
    assert warned(found) == []
    few = finished(tmp_path / "few", texts[:20], {}, {"val": 0.005})
    assert few.totals("decide", "split").get("val", 0) == 0 and warned(few) == []


def test_without_dedup_there_is_no_component_to_name(tmp_path):
    found = finished(tmp_path, [{"text": "the same text again"}] * 60, {}, {"val": 0.2}, dedup="off")
    assert 1 <= found.totals("decide", "split")["val"] <= 30 and warned(found) == []


def test_a_chat_of_system_turns_alone_keeps_its_text(tmp_path):
    records = [{"talk": [{"role": "system", "content": f"only this {n}"}]} for n in range(3)]
    found = finished(tmp_path, records, {"messages": "talk", "compare_system": False}, {}, dedup="off")
    assert found.totals("decide", "outcome") == {"kept": 3}


def test_compare_system_is_for_chats(tmp_path):
    with pytest.raises(ConfigError, match="compare_system is for sources with messages"):
        finished(tmp_path, [{"text": "x"}], {"compare_system": False}, {})
