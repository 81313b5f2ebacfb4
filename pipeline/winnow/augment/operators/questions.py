"""Questions that a passage answers, each with its answer."""

import re
from collections.abc import Mapping

from winnow.augment.operator import Operator, Prompts

_PAIR = re.compile(
    r"^[ \t*#]*question(?:[ \t]*\d{1,3})?[ \t*]*:[ \t*]*(?P<question>\S.*)\n"
    r"(?:[ \t]*\n)*"
    r"[ \t*#]*answer(?:[ \t]*\d{1,3})?[ \t*]*:[ \t*]*(?P<answer>\S(?:.*(?:\n(?![ \t*#]*question\b).*)*))",
    re.IGNORECASE | re.MULTILINE,
)


def _prompts(_settings: Mapping[str, str]) -> Prompts:
    return Prompts(("questions.txt",))


def pairs_of(answer: str) -> str | None:
    """All pairs in an answer, each ``Question: ...`` and ``Answer: ...`` with a blank line behind; None without one."""
    pairs = [(found["question"].strip(), found["answer"].strip()) for found in _PAIR.finditer(answer)]
    if not pairs:
        return None
    return "\n\n".join(f"Question: {question}\nAnswer: {told}" for question, told in pairs)


OPERATOR = Operator(name="questions", prompts=_prompts, text_of=pairs_of, min_length=0.05, max_length=3.0)
