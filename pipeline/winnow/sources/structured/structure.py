"""Records that are more than a text: conversations, prompts with responses, pairs.

The parts that hold text are joined by blank lines to what every stage measures; the structure itself travels beside
it as JSON: ``[{"role": ..., "content": ...}, ...]``, with every other key of a message (of a conversation with tools:
``{"messages": [...], "tools": [...]}``), or ``[first, second]`` for a pair.
"""

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from winnow.sources.source import SourceConfig
from winnow.sources.structured.shapes import SAY_MORE, as_message

ROLES = ("system", "user", "assistant", "tool")
_SAY_MORE = frozenset(name for names in SAY_MORE for name in names)
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
        tools = _tools(values[1], fields[1]) if source.tools else None
        return _conversation(_messages(values[0], fields[0]), tools, source)

    def read_prompt(values: list[Any]) -> tuple[str, str]:
        prompt, response = _prompt(values[:-1], fields), _string(values[-1], fields[-1])
        messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
        return _conversation(messages, None, source)

    def read_pair(values: list[Any]) -> tuple[str, str]:
        pair = [_string(value, name) for value, name in zip(values, fields, strict=True)]
        return JOINT.join(pair), orjson.dumps(pair).decode()

    return read_messages if source.messages else read_prompt if source.prompt else read_pair


def contents_of(structure: str) -> list[str]:
    """The texts in a structure: of each message every value but its role, what is no string as JSON."""
    return [text for part in messages_of(orjson.loads(structure)) for text in _texts_of(part)]


def with_contents(structure: str, contents: list[str]) -> str:
    """The structure with other texts in place of its strings; what is no string stays as it is."""
    whole = orjson.loads(structure)
    new = iter(contents)
    changed: list[Any] = []
    for part in messages_of(whole):
        if type(part) is str:
            changed.append(next(new))
            continue
        texts = [(key, next(new)) for _, key in _values(part)]
        changed.append({**part, **{key: text for key, text in texts if type(part[key]) is str}})
    return orjson.dumps({**whole, "messages": changed} if type(whole) is dict else changed).decode()


def messages_of(structure: Any) -> list[Any]:
    """The messages of a parsed conversation, or the two texts of a pair."""
    found: list[Any] = structure["messages"] if type(structure) is dict else structure
    return found


def conversation_of(structure: Any) -> dict[str, Any] | None:
    """What a template is given of a parsed structure; None for a pair."""
    messages = messages_of(structure)
    if type(messages[0]) is str:
        return None
    return {"messages": messages, "tools": structure["tools"] if type(structure) is dict else None}


def _values(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in message.items():
        if key != "role":
            yield value if type(value) is str else _as_json(value), key


def text_of(structure: str, *, compare_system: bool) -> str:
    """The text that stages measure and compare: all parts, or those without system turns, if there are others."""
    parts = messages_of(orjson.loads(structure))
    compared = [part for part in parts if compare_system or type(part) is str or part["role"] != "system"]
    return JOINT.join(text for part in compared or parts for text in _texts_of(part))


def _texts_of(part: Any) -> list[str]:
    return [part] if type(part) is str else [text for text, _ in _values(part)]


def _conversation(messages: list[dict[str, Any]], tools: list[Any] | None, source: SourceConfig) -> tuple[str, str]:
    structure = _as_json(messages if tools is None else {"messages": messages, "tools": tools})
    return text_of(structure, compare_system=source.compare_system), structure


def _as_json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:  # of Parquet: bytes, decimals ...
        raise StructureError("wrong structure: a message holds a value that JSON cannot say") from error


def _tools(value: Any, field: str) -> list[Any] | None:
    """The tools that a conversation may call: a list, or its JSON as text."""
    if value is MISSING or value is None or value == "":
        return None
    if type(value) is str:
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise StructureError(f"wrong tools: field {field!r} is a string that is no JSON") from error
    if type(value) is not list:
        raise StructureError(f"wrong tools: field {field!r} must be a list, or its JSON text")
    return value or None


def _messages(value: Any, field: str) -> list[dict[str, Any]]:
    if value is MISSING or value is None:
        raise StructureError(f"missing messages: field {field!r} is {'null' if value is None else 'not there'}")
    if type(value) is not list or not value:
        raise StructureError(f"wrong structure: field {field!r} must be a list of messages, at least one")
    messages = []
    for number, given in enumerate(value):
        if type(given) is not dict:
            raise StructureError(f"wrong structure: message {number} is no object with role and content")
        message = {key: part for key, part in as_message(given).items() if part is not None}
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            raise StructureError(f"unknown role: message {number} has none of the roles {', '.join(ROLES)}")
        if type(content) is not str and not (content is None and message.keys() & _SAY_MORE):
            what = "has parts that are no text" if type(content) is list else "is not a string"
            raise StructureError(f"wrong structure: the content of message {number} {what}")
        messages.append(message)
    return messages


def _prompt(values: list[Any], fields: tuple[str, ...]) -> str:
    """What the user says: one field, or those of several that hold something."""
    given = [(value, name) for value, name in zip(values, fields, strict=False) if value not in (MISSING, None, "")]
    if len(values) == 1 or not given:
        return _string(values[0], fields[0])
    return JOINT.join(_string(value, name) for value, name in given)


def _string(value: Any, field: str) -> str:
    if value is MISSING or value is None:
        raise StructureError(f"missing text: field {field!r} is {'null' if value is None else 'not there'}")
    if type(value) is not str:
        raise StructureError(f"wrong type: field {field!r} is not a string")
    return value
