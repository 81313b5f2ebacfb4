"""Records that are more than a text: conversations, prompts with responses, pairs.

The parts that hold text are joined by blank lines to what every stage measures; the structure itself travels beside
it as JSON: ``[{"role": ..., "content": ...}, ...]``, or ``[first, second]`` for a pair.
"""

from collections.abc import Callable
from typing import Any

import orjson

from winnow.sources.source import SourceConfig
from winnow.sources.structured.chat import ChatTemplateError, chat_template

ROLES = ("system", "user", "assistant", "tool")
JOINT = "\n\n"
MISSING = object()
"""Stands for a field that a record does not have."""


class StructureError(ValueError):
    """A record has not the structure that its source says; the message is ``kind: detail`` and quotes no text."""


def structure_reader(source: SourceConfig) -> Callable[[list[Any]], tuple[str, str]]:
    """What turns the values of ``source.structure_fields`` into text and structure (JSON).

    The function raises StructureError.
    """
    fields = source.structure_fields

    def read_messages(values: list[Any]) -> tuple[str, str]:
        return _conversation(_messages(values[0], fields[0]), source)

    def read_prompt(values: list[Any]) -> tuple[str, str]:
        prompt, response = (_string(value, name) for value, name in zip(values, fields, strict=True))
        messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
        return _conversation(messages, source)

    def read_pair(values: list[Any]) -> tuple[str, str]:
        pair = [_string(value, name) for value, name in zip(values, fields, strict=True)]
        return JOINT.join(pair), orjson.dumps(pair).decode()

    return read_messages if source.messages else read_prompt if source.prompt else read_pair


def contents_of(structure: str) -> list[str]:
    """The texts in a structure."""
    return [part if type(part) is str else part["content"] for part in orjson.loads(structure)]


def with_contents(structure: str, contents: list[str]) -> str:
    """The structure with other texts."""
    parts = orjson.loads(structure)
    changed = [
        new if type(part) is str else {**part, "content": new} for part, new in zip(parts, contents, strict=True)
    ]
    return orjson.dumps(changed).decode()


def text_of(structure: str, *, compare_system: bool) -> str:
    """The text that stages measure and compare: all parts, or those without system turns, if there are others."""
    parts = orjson.loads(structure)
    compared = [part for part in parts if compare_system or type(part) is str or part["role"] != "system"]
    return JOINT.join(part if type(part) is str else part["content"] for part in compared or parts)


def _conversation(messages: list[dict[str, str]], source: SourceConfig) -> tuple[str, str]:
    try:
        chat_template(source.chat_template).render(messages)
    except ChatTemplateError as error:
        raise StructureError(f"template error: {error}") from error
    structure = orjson.dumps(messages).decode()
    return text_of(structure, compare_system=source.compare_system), structure


def _messages(value: Any, field: str) -> list[dict[str, str]]:
    if value is MISSING or value is None:
        raise StructureError(f"missing messages: field {field!r} is {'null' if value is None else 'not there'}")
    if type(value) is not list or not value:
        raise StructureError(f"wrong structure: field {field!r} must be a list of messages, at least one")
    messages = []
    for number, message in enumerate(value):
        if type(message) is not dict:
            raise StructureError(f"wrong structure: message {number} is no object with role and content")
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            raise StructureError(f"unknown role: message {number} has none of the roles {', '.join(ROLES)}")
        if type(content) is not str:
            raise StructureError(f"wrong structure: the content of message {number} is not a string")
        messages.append({"role": role, "content": content})
    return messages


def _string(value: Any, field: str) -> str:
    if value is MISSING or value is None:
        raise StructureError(f"missing text: field {field!r} is {'null' if value is None else 'not there'}")
    if type(value) is not str:
        raise StructureError(f"wrong type: field {field!r} is not a string")
    return value
