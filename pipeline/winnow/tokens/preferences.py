"""Ids of preference pairs: the prompt once, the chosen answer, the rejected answer.

Both conversations of a pair are encoded whole, as a model reads them; where the answers begin follows from what the
template marks as the assistant's. Tokens that both have before that are the prompt.
"""

from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.sources.structured.chat import Rendered
from winnow.tokens.conversations import Ids, Marks


class PairError(ValueError):
    """A pair has no rows; the message says why, and quotes no text."""


class EncodedPair(NamedTuple):
    """One pair."""

    ids: NDArray[np.uint32]
    """Of the prompt, the chosen answer and the rejected one."""
    marks: Marks
    """1 on the chosen answer."""
    is_cut: bool
    """Whether an answer lost its end."""


def with_answers_marked(chosen: Rendered, rejected: Rendered) -> tuple[Rendered, Rendered]:
    """Both conversations with one span each: from where the answers begin to the end.

    Raises:
        PairError: the template writes both alike, or another prompt before each.
    """
    texts = chosen.text, rejected.text
    for one, two in zip_longest(chosen.spans, rejected.spans):
        if one and two and one == two and texts[0][slice(*one)] == texts[1][slice(*two)]:
            continue
        begin = (one or two)[0]
        if texts[0][:begin] != texts[1][:begin] or (one and two and one[0] != two[0]):
            raise PairError("the template writes another prompt before each answer")
        marked = [one._replace(spans=[(begin, len(text))]) for one, text in zip((chosen, rejected), texts, strict=True)]
        return marked[0], marked[1]
    raise PairError("the template writes both answers alike")


def joined_pair(chosen: tuple[Ids, Marks], rejected: tuple[Ids, Marks], room: int, end_of_text: int) -> EncodedPair:
    """One pair from the ids of both conversations: each answer ends with end-of-text and fits ``room`` with its prompt.

    Args:
        chosen: ids uint32[T] and marks, 1 from the answer's first token on.
        rejected: likewise.
        room: tokens of a prompt with one answer.
        end_of_text: ends an answer, unless the template has ended it so.

    Raises:
        PairError: the prompt leaves no room for an answer, or the answers are the same ids.
    """
    prompt = _common_prompt(chosen, rejected)
    if prompt >= room:
        raise PairError(f"its prompt has {prompt:,} tokens, and sequence_tokens is {room:,}: no answer fits")
    answers = [_ended(ids[prompt:], end_of_text) for ids, _ in (chosen, rejected)]
    kept = [answer[: room - prompt] for answer in answers]
    is_cut = any(len(one) < len(whole) for one, whole in zip(kept, answers, strict=True))
    if np.array_equal(kept[0], kept[1]):
        as_far = f", as far as sequence_tokens ({room:,}) reaches" if is_cut else ""
        raise PairError(f"its answers have the same tokens{as_far}")
    ids = np.concatenate([chosen[0][:prompt], *kept]).astype(np.uint32)
    marks = np.zeros(len(ids), np.uint8)
    marks[prompt : prompt + len(kept[0])] = 1
    return EncodedPair(ids, marks, is_cut)


def _common_prompt(chosen: tuple[Ids, Marks], rejected: tuple[Ids, Marks]) -> int:
    """Tokens before the answers, as far as both have the same."""
    begins = [int(marks.argmax()) if marks.any() else len(marks) for _, marks in (chosen, rejected)]
    shortest = min(begins)
    different = np.flatnonzero(chosen[0][:shortest] != rejected[0][:shortest])
    return int(different[0]) if len(different) else shortest


def _ended(answer: NDArray[Any], end_of_text: int) -> NDArray[Any]:
    return answer if len(answer) and answer[-1] == end_of_text else np.append(answer, np.uint32(end_of_text))
