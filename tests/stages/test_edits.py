"""Edits in records that are more than a text: made in their contents, told apart from what is no string."""

import numpy as np
import orjson
import pyarrow as pa

from winnow.sources.structured.structure import text_of
from winnow.stages.edits import edited_columns, joined_contents
from winnow.text.edits import Edits, edits_from

CHAT = [
    {"role": "system", "content": "Né: be kind."},
    {"role": "user", "content": "I am a@b.cc, you?"},
    {"role": "assistant", "content": "日本 a@b.cc", "tool_calls": [{"name": "mail", "to": "a@b.cc"}]},
]
PAIR = ["a@b.cc first", "second a@b.cc"]


def spans_of(structure: str, doc: int, word: str = "a@b.cc") -> list[tuple[int, int, int, str, str]]:
    contents, starts = joined_contents(structure)
    found = []
    for text, start in zip(contents, starts, strict=True):
        at = text.encode().find(word.encode())
        if at >= 0:
            found.append((doc, start + at, start + at + len(word), "<E>", "pii.email"))
    return found


def edited(structures: list[str | None], texts: list[str], edits: Edits) -> tuple[list[str], list[str | None]]:
    docs = np.arange(len(texts), dtype=np.uint64)
    found = edited_columns(docs, pa.array(texts, pa.large_string()), pa.array(structures, pa.string()), edits)
    return tuple(column.to_pylist() for column in found)  # type: ignore[return-value]


def test_structures_are_edited_where_their_contents_say() -> None:
    chat, pair = orjson.dumps(CHAT).decode(), orjson.dumps(PAIR).decode()
    tools = orjson.dumps({"messages": CHAT[:2], "tools": [{"name": "a@b.cc"}]}).decode()
    structures = [None, chat, pair, chat, tools]
    texts = ["plain a@b.cc", text_of(chat, compare_system=False), text_of(pair, compare_system=True)]
    texts += [text_of(chat, compare_system=True), text_of(tools, compare_system=True)]
    rows = [(0, 6, 12, "<E>", "pii.email")]
    rows += [span for doc in (1, 2, 4) for span in spans_of(structures[doc] or "", doc)]
    new_texts, new = edited(structures, texts, edits_from(rows))
    assert new_texts[0] == "plain <E>"
    assert new[0] is None
    assert orjson.loads(new[2] or "") == ["<E> first", "second <E>"]
    assert new_texts[2] == "<E> first\n\nsecond <E>"
    talk = orjson.loads(new[1] or "")
    assert [message["content"] for message in talk] == ["Né: be kind.", "I am <E>, you?", "日本 <E>"]
    assert [message["role"] for message in talk] == ["system", "user", "assistant"]
    assert new_texts[1] == text_of(new[1] or "", compare_system=False)
    assert "Né" not in new_texts[1]
    assert (new_texts[3], new[3]) == (texts[3], chat)
    assert orjson.loads(new[4] or "")["messages"][1]["content"] == "I am <E>, you?"
    assert new_texts[4].startswith("Né: be kind.\n\nI am <E>")


def test_without_edits_of_structures_they_stay_themselves() -> None:
    chat = orjson.dumps(CHAT).decode()
    texts = ["plain a@b.cc", text_of(chat, compare_system=True)]
    found = edited([None, chat], texts, edits_from([(0, 6, 12, "", "x"), (7, 0, 1, "", "x")]))
    assert found == (["plain ", texts[1]], [None, chat])
