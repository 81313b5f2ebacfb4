"""The fields of structured records, checked: messages, prompts, answers, tools."""

from typing import Any

import orjson

from winnow.sources.structured.shapes import SAY_MORE, as_message

ROLES = ("system", "user", "assistant", "tool")
_SAY_MORE = frozenset(name for names in SAY_MORE for name in names)
JOINT = "\n\n"
MISSING = object()
"""Stands for a field that a record does not have."""

Message = dict[str, Any]


class StructureError(ValueError):
    """A record has not the structure that its source says; the message is ``kind: detail`` and quotes no text."""


def read_tools(value: Any, field: str) -> list[Any] | None:
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


def read_messages(value: Any, field: str) -> list[Message]:
    """A conversation, one message at least, each with a role."""
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


def read_prompt(values: list[Any], fields: tuple[str, ...]) -> str:
    """What the user says: one field, or those of several that hold something."""
    given = [(value, name) for value, name in zip(values, fields, strict=False) if value not in (MISSING, None, "")]
    if len(values) == 1 or not given:
        return read_string(values[0], fields[0])
    return JOINT.join(read_string(value, name) for value, name in given)


def read_string(value: Any, field: str) -> str:
    """A text."""
    if value is MISSING or value is None:
        raise StructureError(f"missing text: field {field!r} is {'null' if value is None else 'not there'}")
    if type(value) is not str:
        raise StructureError(f"wrong type: field {field!r} is not a string")
    return value


def says_something(message: Message) -> bool:
    """Whether a message has a content that is not blank, or something besides."""
    return bool(message.keys() & _SAY_MORE) or bool(str(message.get("content") or "").strip())
