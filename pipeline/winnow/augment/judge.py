"""Which answers are text, and why others are not: pure functions of an answer, its passage and its prompt."""

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from winnow.augment.answers import NOT_TAKEN, Answer
from winnow.text.language.identifier import Identifier
from winnow.text.language.sure import NOT_SURE, sure_languages
from winnow.text.prose import prose_of

EMPTY = "empty"
TRUNCATED = "truncated"
REFUSED = "refused"
NO_FORM = "not_in_form"
REPEATS_PROMPT = "repeats_prompt"
COPY = "copy"
TOO_SHORT = "too_short"
TOO_LONG = "too_long"
REPEATS_ITSELF = "repeats_itself"
OTHER_LANGUAGE = "other_language"
SAME_ANSWER = "same_answer"

UNUSED = {
    NOT_TAKEN: "was refused: the endpoint does not take the request, such as one that is too long for the model",
    EMPTY: "holds nothing",
    TRUNCATED: "was cut off at max_answer_tokens",
    REFUSED: "is a refusal",
    NO_FORM: "has not the form that the prompt asks for",
    REPEATS_PROMPT: "holds a line of the prompt",
    COPY: "is the passage itself",
    TOO_SHORT: "is too short for its passage",
    TOO_LONG: "is too long for its passage",
    REPEATS_ITSELF: "goes round in circles",
    OTHER_LANGUAGE: "is in another language than its passage",
    SAME_ANSWER: "is what another passage was answered, too",
}
"""Reasons why an answer is of no use, in the order in which they are looked for."""

_REFUSAL = re.compile(
    r"\W*(?:(?:i['’]?m|i am) (?:so |very |really )?(?:sorry|afraid|unable)|(?:sorry|apologies),? (?:but )?i\b"
    r"|i (?:cannot|can['’]?t|can not|won['’]?t|will not) (?:help|assist|comply|fulfil|provide|answer|do|re|translate)"
    r"|as an? (?:ai|artificial|large|language)\b|(?:please|could you(?: please)?) (?:provide|share|paste|send)\b"
    r"|(?:there|it seems|it looks like).{0,40}\bno text\b)",
    re.IGNORECASE,
)
"""How refusals begin, and requests for the text that was sent."""
_PREAMBLE = re.compile(
    r"(?:sure|certainly|of course|absolutely|okay|here (?:is|are)|here['’]s)\b[^\n]{0,120}:[ \t]*\n+", re.IGNORECASE
)
"""First lines that speak to the user."""
CIRCLES = 5.0
"""Bytes to those of their zlib form from which a text goes round in circles: prose has 1.5 to 3."""


@dataclass(frozen=True)
class Judged:
    """What becomes of an answer: a text, or a reason."""

    text: str = ""
    reason: str = ""
    without_preamble: bool = False
    """Whether a first line that speaks to the user ("Here is the text:") is left out of the text."""


class Made(NamedTuple):
    """A text and what it was made of."""

    passage: str
    text: str


def judge(
    answer: Answer,
    passage: str,
    text: str | None,
    prompt_lines: Iterable[str],
    lengths: tuple[float, float],
) -> Judged:
    """Judge one answer by itself.

    Args:
        answer: as it came.
        passage: that it is about.
        text: what the operator finds in it; None where it does not have the form.
        prompt_lines: lines that only a prompt holds.
        lengths: least and most characters to those of the passage.
    """
    if reason := fault_of(answer, passage):
        return Judged(reason=reason)
    if text is None:
        return Judged(reason=NO_FORM)
    bare = without_preamble(text)
    if not bare:
        return Judged(reason=EMPTY)
    if any(line in bare and line not in passage for line in prompt_lines):
        return Judged(reason=REPEATS_PROMPT)
    if bare.split() == passage.split():
        return Judged(reason=COPY)
    if len(bare) < lengths[0] * len(passage):
        return Judged(reason=TOO_SHORT)
    if len(bare) > lengths[1] * len(passage):
        return Judged(reason=TOO_LONG)
    if _circles(bare) > max(CIRCLES, 1.5 * _circles(passage)):
        return Judged(reason=REPEATS_ITSELF)
    return Judged(bare, without_preamble=bare != text.strip())


def without_preamble(text: str) -> str:
    """A text without a first line that speaks to the user, and without white space around it."""
    bare = text.strip()
    found = _PREAMBLE.match(bare)
    return bare[found.end() :].strip() if found else bare


def fault_of(answer: Answer, passage: str) -> str:
    """Why an answer is none, whatever was asked; empty where it is one."""
    if answer.finish == NOT_TAKEN:
        return NOT_TAKEN
    if answer.finish == "length":
        return TRUNCATED
    if answer.finish == "content_filter" or (_REFUSAL.match(answer.content) and not _REFUSAL.match(passage)):
        return REFUSED
    return "" if answer.content.strip() else EMPTY


def _circles(text: str) -> float:
    data = text.encode(errors="replace")
    return len(data) / len(zlib.compress(data, 6))


def other_languages(made: Sequence[Made], identify: Identifier) -> list[bool]:
    """Of each text whether it is in another language than its passage, where both are sure."""
    if not made:
        return []
    columns = [pa.array(column, pa.large_string()) for column in zip(*made, strict=True)]
    before, after = (sure_languages(prose_of(column), identify) for column in columns)
    differ: list[bool] = ((before != after) & (before != NOT_SURE) & (after != NOT_SURE)).tolist()
    return differ


def text_hashes(texts: Iterable[str]) -> NDArray[np.uint64]:
    """A hash of each text, white space apart: uint64[N]."""
    return np.array([xxhash.xxh3_64_intdigest(" ".join(text.split()).encode()) for text in texts], np.uint64)
