"""Preference pairs: a prompt, the answer that was chosen and the one that was rejected, in the shapes people publish.

Answers are strings, or lists of messages; of lists the prompt is what both begin with, and a prompt beside them may
say it again. As a structure a pair is the messages of all three in a row, with the places at which the answers begin:
``{"messages": [...], "chosen": 1, "rejected": 2}``.
"""

from itertools import takewhile
from typing import Any

from winnow.sources.structured.parts import (
    MISSING,
    Message,
    StructureError,
    read_messages,
    read_prompt,
    read_string,
    says_something,
)


def read_preference(values: list[Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """The structure of one record.

    Args:
        values: of the prompt's fields, if the source names some, then of the chosen and of the rejected answer.
        fields: their names.

    Raises:
        StructureError: a part is missing or wrong, an answer is empty, both answers are the same, they begin otherwise
            than the prompt says, or not with the assistant's turn.
    """
    asked = _asked(values[:-2], fields[:-2])
    names = fields[-2:]
    chosen, rejected = (_answer(value, name) for value, name in zip(values[-2:], names, strict=True))
    if chosen == rejected:
        raise StructureError(f"same answers: fields {names[0]!r} and {names[1]!r} say the same")
    shared = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected, strict=False))))
    prompt = _prompt(asked, chosen[:shared], names)
    answers = chosen[shared:], rejected[shared:]
    for answer, name in zip(answers, names, strict=True):
        if not any(map(says_something, answer)):
            raise StructureError(f"empty answer: field {name!r} holds none")
        if answer[0]["role"] != "assistant":
            raise StructureError(f"wrong structure: what field {name!r} does not share begins with no assistant's turn")
    first = len(prompt)
    return {"messages": [*prompt, *answers[0], *answers[1]], "chosen": first, "rejected": first + len(answers[0])}


def _asked(values: list[Any], fields: tuple[str, ...]) -> list[Message]:
    """The prompt's own field or fields; nothing where the source names none."""
    if not fields:
        return []
    if len(values) == 1 and type(values[0]) is list:
        return read_messages(values[0], fields[0])
    prompt = read_prompt(values, fields)
    if not prompt.strip():
        raise StructureError(f"empty prompt: field {fields[0]!r} holds none")
    return [{"role": "user", "content": prompt}]


def _answer(value: Any, field: str) -> list[Message]:
    if type(value) is list or value is MISSING or value is None:
        return read_messages(value, field)
    return [{"role": "assistant", "content": read_string(value, field)}]


def _prompt(asked: list[Message], shared: list[Message], names: tuple[str, ...]) -> list[Message]:
    """The prompt, from its own field and from what both answers begin with."""
    if not asked and not shared:
        raise StructureError(
            f"missing prompt: fields {names[0]!r} and {names[1]!r} share no first message, and the source names no "
            "prompt"
        )
    if not shared or not asked:
        return asked or shared
    if shared[0]["role"] == "assistant":  # turns of the answers, which begin alike
        return [*asked, *shared]
    if not any(shared[at : at + len(asked)] == asked for at in range(len(shared))):
        raise StructureError(f"wrong prompt: fields {names[0]!r} and {names[1]!r} begin with another one")
    return shared
