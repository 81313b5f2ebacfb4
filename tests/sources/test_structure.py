"""Structured records: what is read, what is refused and why; chat templates and their sandbox."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from tests.support.reading import read
from winnow.sources.source import STRUCTURE, SourceConfig
from winnow.sources.structured.chat import CHATML
from winnow.sources.structured.structure import contents_of, with_contents

TALK = [{"role": "user", "content": "Hi\n"}, {"role": "assistant", "content": "<|im_end|> Ho"}]


def records(tmp_path, values, kind="jsonl", **settings):
    path = tmp_path / f"data.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(value) + "\n" for value in values))
    else:
        pq.write_table(pa.Table.from_pylist(values), path)
    return read(path, **settings)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_texts_are_joined_and_the_structure_travels(tmp_path, kind):
    found = records(tmp_path, [{"id": "a", "talk": TALK}], kind, id="id", messages="talk", keep=("id",))
    assert found.texts == ["Hi\n\n\n<|im_end|> Ho"]
    assert found.keep["id"] == ["a"]
    assert json.loads(found.keep[STRUCTURE][0]) == TALK
    found = records(tmp_path, [{"q": "Why?", "a": "So."}], kind, prompt="q", response="a")
    assert json.loads(found.keep[STRUCTURE][0]) == [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "So."},
    ]
    found = records(tmp_path, [{"text": "one", "two": "two"}], kind, pair="two")
    assert (found.texts, json.loads(found.keep[STRUCTURE][0])) == (["one\n\ntwo"], ["one", "two"])


def test_wrong_structures_are_unreadable_with_a_reason(tmp_path):
    values = [
        {"m": TALK},
        {},
        {"m": None},
        {"m": []},
        {"m": "text"},
        {"m": ["text"]},
        {"m": [{"content": "no role"}]},
        {"m": [{"role": "root", "content": "x"}]},
        {"m": [{"role": ["user"], "content": "x"}]},
        {"m": [{"role": "user", "content": None}]},
        {"m": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {}}]}]},
        {"m": [{"from": "nobody", "value": "x"}]},
        {"m": [{"from": "human", "value": 7}]},
    ]
    found = records(tmp_path, values, messages="m")
    assert found.rows == [0]
    assert found.kinds == [
        (1, "missing messages"),
        (2, "missing messages"),
        *((row, "wrong structure") for row in (3, 4, 5)),
        *((row, "unknown role") for row in (6, 7, 8)),
        *((row, "wrong structure") for row in (9, 10)),
        (11, "unknown role"),
        (12, "wrong structure"),
    ]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_sharegpt_and_contents_in_parts(tmp_path, kind):
    share = [{"from": "system", "value": "S"}, {"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
    found = records(tmp_path, [{"conversations": share}], kind, messages="conversations")
    told = [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    assert json.loads(found.keep[STRUCTURE][0]) == told and found.texts == ["S\n\nQ\n\nA"]
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    found = records(tmp_path, [{"m": [{"role": "user", "content": parts}]}], kind, messages="m")
    assert json.loads(found.keep[STRUCTURE][0]) == [{"role": "user", "content": "one\ntwo"}]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_prompt_of_several_fields(tmp_path, kind):
    rows = [
        {"instruction": "Add.", "input": "1 1", "output": "2"},
        {"instruction": "Hi", "input": "", "output": "Ho"},
        {"instruction": "Hi", "input": None, "output": "Ho"},
        {"instruction": "", "input": "only", "output": "Ho"},
        {"instruction": None, "input": None, "output": "Ho"},
        {"instruction": "Hi", "input": "x", "output": None},
    ]
    found = records(tmp_path, rows, kind, prompt=["instruction", "input"], response="output")
    said = [json.loads(structure)[0]["content"] for structure in found.keep[STRUCTURE]]
    assert said == ["Add.\n\n1 1", "Hi", "Hi", "only"]
    assert found.kinds == [(4, "missing text"), (5, "missing text")]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_the_first_of_several_text_fields_that_a_record_has(tmp_path, kind):
    rows = [{"content": "a", "text": "b"}, {"content": None, "text": "c"}, {"content": None, "text": None}]
    found = records(tmp_path, rows, kind, text=["content", "text", "body"])
    assert found.texts == ["a", "c"] and found.kinds == [(2, "null text")]
    assert records(tmp_path, [{"text": "only"}], kind, text=["content", "text"]).texts == ["only"]
    bad = records(tmp_path, [{"txt": "x"}], kind, text=["content", "text"]).unreadable[0]
    assert "'content'" in bad.reason and "has: txt" in bad.reason
    for names in ([], ["a", "a"], [""]):
        with pytest.raises(ValidationError, match="must name a field"):
            SourceConfig(name="s", path="p", text=names)
    with pytest.raises(ValidationError, match="need one field"):
        SourceConfig(name="s", path="p", text=["a", "b"], pair="c")


def test_a_parquet_file_with_wrong_structures_gives_the_others(tmp_path):
    rows = [{"p": "one", "r": "two"}, {"p": None, "r": "x"}, {"p": "three", "r": "four"}]
    found = records(tmp_path, rows, "parquet", prompt="p", response="r")
    assert (found.rows, found.kinds) == ([0, 2], [(1, "missing text")])
    assert len(found.keep[STRUCTURE]) == 2
    assert records(tmp_path, [{"m": 3}], "parquet", messages="m").kinds == [(0, "wrong structure")]


def test_what_a_template_refuses_is_unreadable(tmp_path):
    template = "{% if messages[0]['role'] != 'system' %}{{ raise_exception('secret') }}{% endif %}" + CHATML
    rows = [{"m": TALK}, {"m": [{"role": "system", "content": "x"}, *TALK]}]
    found = records(tmp_path, rows, messages="m", chat_template=template)
    assert (found.rows, found.kinds) == ([1], [(0, "template error")])
    assert "secret" not in found.unreadable[0].reason


CALLS = [
    {"role": "user", "content": "Weather?"},
    {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "w", "arguments": {"city": "Rome"}}}]},
    {"role": "tool", "content": "sun", "tool_call_id": "7"},
    {"role": "assistant", "content": "Sunny.", "reasoning_content": "It is sunny."},
]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_whole_messages_travel_and_are_part_of_the_text(tmp_path, kind):
    other = json.loads(json.dumps(CALLS).replace("Rome", "Oslo"))
    found = records(tmp_path, [{"m": CALLS}, {"m": other}], kind, messages="m")
    assert found.unreadable == []
    assert len(set(found.texts)) == 2
    assert "Rome" in found.texts[0] and "Oslo" in found.texts[1] and "It is sunny." in found.texts[0]
    given = [{key: value for key, value in message.items() if value is not None} for message in CALLS]
    assert json.loads(found.keep[STRUCTURE][0]) == given
    parts = contents_of(found.keep[STRUCTURE][0])
    assert "\n\n".join(parts) == found.texts[0]
    changed = json.loads(with_contents(found.keep[STRUCTURE][0], [part.upper() for part in parts]))
    assert changed[1] == given[1]  # what is no string stays as it is
    assert (changed[3]["reasoning_content"], changed[3]["role"]) == ("IT IS SUNNY.", "assistant")


def test_tools_of_a_conversation_reach_the_template_and_not_the_text(tmp_path):
    tools = [{"type": "function", "function": {"name": "w"}}]
    rows = [{"m": TALK, "t": tools}, {"m": TALK, "t": json.dumps(tools)}, {"m": TALK}, {"m": TALK, "t": 3}]
    template = "{% if not tools %}{{ raise_exception('') }}{% endif %}" + CHATML
    found = records(tmp_path, rows, messages="m", tools="t", chat_template=template)
    assert json.loads(found.keep[STRUCTURE][1]) == {"messages": TALK, "tools": tools}
    assert found.kinds == [(3, "wrong tools"), (2, "template error")]
    assert len(set(found.texts)) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prompt": "p"}, "belong together"),
        ({"messages": "m", "pair": "p"}, "one structure"),
        ({"chat_template": "x{"}, "is for sources with messages"),
        ({"prompt": "p", "response": "r", "tools": "t"}, "tools is for sources with messages"),
        ({"messages": "m", "template_date": "2024-13-01"}, "must be a date such as 2024-07-26"),
        ({"messages": "m", "format": "text"}, "files of format text have no fields"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValidationError, match=message):
        SourceConfig(name="s", path="x", **settings)
