"""Questions that a passage answers, each with its answer."""

import re
from collections.abc import Mapping
from itertools import pairwise

from winnow.augment.operator import Operator, Prompts

_HEAD = re.compile(r"[ \t*#]*(question|answer)(?:[ \t]{0,3}\d{1,3})?[ \t*]*:(.*)", re.IGNORECASE)
"""How a line begins that begins a question or an answer."""


def _prompts(_settings: Mapping[str, str]) -> Prompts:
    return Prompts(("questions.txt",))


def pairs_of(answer: str) -> str | None:
    """All pairs in an answer, each ``Question: ...`` and ``Answer: ...`` with a blank line behind; None without one."""
    parts: list[tuple[str, list[str]]] = []
    for line in answer.splitlines():
        if head := _HEAD.match(line):
            parts.append((head[1].lower(), [head[2].strip(" \t*")]))
        elif parts:
            parts[-1][1].append(line)
    texts = [(kind, "\n".join(lines).strip()) for kind, lines in parts]
    pairs = [
        f"Question: {asked}\nAnswer: {told}"
        for (before, asked), (kind, told) in pairwise(texts)
        if (before, kind) == ("question", "answer") and asked and told
    ]
    return "\n\n".join(pairs) or None


OPERATOR = Operator(name="questions", prompts=_prompts, text_of=pairs_of, min_length=0.05, max_length=3.0)
