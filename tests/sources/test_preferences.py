"""Preference pairs as people publish them: one structure, and what is refused with which reason."""

import json

import pytest
from pydantic import ValidationError

from tests.sources.test_structure import records
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.sources.source import STRUCTURE, SourceConfig
from winnow.sources.structured.structure import contents_of, conversations_of, prompt_of, with_contents


def user(text: str) -> dict:
    return {"role": "user", "content": text}


def says(text: str) -> dict:
    return {"role": "assistant", "content": text}


SYSTEM = {"role": "system", "content": "Be brief."}
ASK, GOOD, BAD = "Why?", "Because it is so.", "No idea."
ONE_TURN = {"messages": [user(ASK), says(GOOD), says(BAD)], "chosen": 1, "rejected": 2}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("record", "prompt"),
    [
        ({"prompt": ASK, "chosen": GOOD, "rejected": BAD}, "prompt"),  # orca_dpo_pairs and the like
        ({"prompt": ASK, "chosen": [user(ASK), says(GOOD)], "rejected": [user(ASK), says(BAD)]}, "prompt"),  # binarised
        ({"chosen": [user(ASK), says(GOOD)], "rejected": [user(ASK), says(BAD)]}, None),  # the prompt is implicit
        ({"prompt": [user(ASK)], "chosen": [says(GOOD)], "rejected": [says(BAD)]}, "prompt"),  # trl's explicit form
        ({"prompt": [user(ASK)], "chosen": GOOD, "rejected": BAD}, "prompt"),
        (
            {
                "chosen": [{"from": "human", "value": ASK}, {"from": "gpt", "value": GOOD}],
                "rejected": [{"from": "human", "value": ASK}, {"from": "gpt", "value": BAD}],
            },
            None,
        ),
    ],
)
def test_all_shapes_are_one_structure(tmp_path, record, prompt, kind):
    found = records(tmp_path, [record], kind, prompt=prompt, chosen="chosen", rejected="rejected")
    assert json.loads(found.keep[STRUCTURE][0]) == ONE_TURN
    assert found.texts == [f"{ASK}\n\n{GOOD}\n\n{BAD}"]


def test_turns_that_both_share_are_the_prompt_and_answers_may_be_several_turns(tmp_path):
    asked = [SYSTEM, user("Hello"), says("Hi"), user(ASK)]
    long = [says("Let me look."), user("Well?"), says(GOOD)]
    fields = {"chosen": "chosen", "rejected": "rejected", "prompt": "prompt"}
    record = {"prompt": ASK, "chosen": asked + long, "rejected": [*asked, says(BAD)]}
    found = records(tmp_path, [record], **fields, compare_system=False)
    structure = json.loads(found.keep[STRUCTURE][0])
    assert structure == {"messages": [*asked, *long, says(BAD)], "chosen": 4, "rejected": 7}
    assert [talk["messages"] for talk in conversations_of(structure)] == [asked + long, [*asked, says(BAD)]]
    assert prompt_of(structure) == "Be brief.\n\nHello\n\nHi\n\nWhy?"
    assert found.texts == ["\n\n".join(["Hello", "Hi", ASK, "Let me look.", "Well?", GOOD, BAD])]
    told = found.keep[STRUCTURE][0]
    upper = with_contents(told, [text.upper() for text in contents_of(told)])
    assert json.loads(upper)["messages"][-1] == says(BAD.upper())
    assert json.loads(upper)["rejected"] == 7

    alike = {"prompt": [user(ASK)], "chosen": [says("So."), *long], "rejected": [says("So."), says(BAD)]}
    found = records(tmp_path, [alike], **fields)
    assert json.loads(found.keep[STRUCTURE][0])["messages"][:3] == [user(ASK), says("So."), says("Let me look.")]


def test_pairs_of_which_nothing_can_be_learned_are_unreadable_with_a_reason(tmp_path):
    good = {"prompt": ASK, "chosen": GOOD, "rejected": BAD}
    values = [
        good,
        {**good, "rejected": GOOD},
        {**good, "rejected": " \n"},
        {**good, "chosen": ""},
        {**good, "prompt": " "},
        {**good, "prompt": None},
        {**good, "rejected": None},
        {**good, "rejected": 7},
        {**good, "rejected": []},
        {**good, "chosen": [user(ASK), says(GOOD)], "rejected": [user(ASK)]},
        {**good, "prompt": "Another?", "chosen": [user(ASK), says(GOOD)], "rejected": [user(ASK), says(BAD)]},
        {**good, "chosen": [user("One?"), says(GOOD)], "rejected": [user("Two?"), says(BAD)]},
    ]
    found = records(tmp_path, values, prompt="prompt", chosen="chosen", rejected="rejected")
    assert found.rows == [0]
    assert [kind for _, kind in found.kinds] == [
        "same answers", "empty answer", "empty answer", "empty prompt", "missing text", "missing messages",
        "wrong type", "wrong structure", "empty answer", "wrong prompt", "wrong structure",
    ]  # fmt: skip
    found = records(tmp_path, [{"chosen": GOOD, "rejected": BAD}], chosen="chosen", rejected="rejected")
    assert found.kinds == [(0, "missing prompt")]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"chosen": "a"}, "chosen and rejected belong together"),
        ({"chosen": "a", "rejected": "b", "response": "c", "prompt": "p"}, "response and chosen: give one of them"),
        ({"chosen": "a", "rejected": "b", "messages": "m"}, "messages and chosen: give one of them"),
        ({"chosen": "a", "rejected": "b", "format": "text"}, "have no fields"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        SourceConfig(name="s", path="data", **fields)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"shards": {"row": "document"}}, "set shards.row to preference"),
        ({"shards": {"row": "preference", "formats": ["parquet", "mds"]}}, "mds shards have no place for preference"),
        ({"shards": {"row": "preference", "columns": ["position_ids"]}}, "columns names position_ids"),
        ({"dedup": "off"}, "could stand in several splits"),
        ({"dedup": {"index": "nights"}}, "could stand in several splits"),
        ({"sources": [{"name": "q", "path": "/p/*.jsonl", "messages": "m"}]}, "'pairs' has preference pairs and 'q'"),
    ],
)
def test_runs_that_cannot_hold_pairs_are_refused(sections, message):
    pairs = {"name": "pairs", "path": "/p/*.jsonl", "prompt": "p", "chosen": "a", "rejected": "b"}
    sources = [pairs, *sections.pop("sources", [])]
    with pytest.raises(ConfigError, match=message):
        parse_config({"run": "/r", "sources": sources, "shards": {"row": "preference"}, **sections})
    with pytest.raises(ConfigError, match="preference is for sources with chosen and rejected"):
        parse_config({"run": "/r", "sources": [{"name": "s", "path": "/p"}], "shards": {"row": "preference"}})
