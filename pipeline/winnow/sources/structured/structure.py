"""Records that are more than a text: conversations, prompts with responses, pairs.

The parts that hold text are joined by blank lines to what every stage measures; the structure itself travels beside
it as JSON: ``[{"role": ..., "content": ...}, ...]``, with every other key of a message (of a conversation with tools:
``{"messages": [...], "tools": [...]}``, of a preference pair as in :mod:`winnow.sources.structured.preferences`), or
``[first, second]`` for a pair.
"""

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from winnow.sources.source import SourceConfig
from winnow.sources.structured.parts import (
    JOINT,
    StructureError,
    read_messages,
    read_prompt,
    read_string,
    read_tools,
)
from winnow.sources.structured.preferences import read_preference


def structure_reader(source: SourceConfig) -> Callable[[list[Any]], tuple[str, str]]:
    """What turns the values of ``source.structure_fields`` into text and structure (JSON).

    The function raises StructureError.
    """
    fields = source.structure_fields

    def of_messages(values: list[Any]) -> tuple[str, str]:
        messages, tools = read_messages(values[0], fields[0]), None
        if source.tools:
            tools = read_tools(values[1], fields[1])
        return _conversation(messages if tools is None else {"messages": messages, "tools": tools}, source)

    def of_prompt(values: list[Any]) -> tuple[str, str]:
        prompt, response = read_prompt(values[:-1], fields), read_string(values[-1], fields[-1])
        return _conversation([{"role": "user", "content": prompt}, {"role": "assistant", "content": response}], source)

    def of_preference(values: list[Any]) -> tuple[str, str]:
        return _conversation(read_preference(values, fields), source)

    def of_pair(values: list[Any]) -> tuple[str, str]:
        pair = [read_string(value, name) for value, name in zip(values, fields, strict=True)]
        return JOINT.join(pair), orjson.dumps(pair).decode()

    if source.chosen:
        return of_preference
    return of_messages if source.messages else of_prompt if source.prompt else of_pair


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
    """The messages of a parsed conversation or preference pair, or the two texts of a pair."""
    found: list[Any] = structure["messages"] if type(structure) is dict else structure
    return found


def conversations_of(structure: Any) -> list[dict[str, Any]]:
    """What a template is given of a parsed structure: a conversation; of a preference pair its prompt with the chosen
    answer, and with the rejected one; nothing of a pair of texts."""
    messages = messages_of(structure)
    if type(messages[0]) is str:
        return []
    if type(structure) is dict and "chosen" in structure:
        chosen, rejected = structure["chosen"], structure["rejected"]
        sides = messages[:rejected], messages[:chosen] + messages[rejected:]
        return [{"messages": side, "tools": None} for side in sides]
    return [{"messages": messages, "tools": structure["tools"] if type(structure) is dict else None}]


def prompt_of(structure: Any) -> str:
    """The text of the messages before the answers of a parsed preference pair."""
    return JOINT.join(text for part in messages_of(structure)[: structure["chosen"]] for text in _texts_of(part))


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


def _conversation(whole: Any, source: SourceConfig) -> tuple[str, str]:
    structure = _as_json(whole)
    return text_of(structure, compare_system=source.compare_system), structure


def _as_json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:  # of Parquet: bytes, decimals ...
        raise StructureError("wrong structure: a message holds a value that JSON cannot say") from error
