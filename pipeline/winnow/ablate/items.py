"""Items of evaluation sets with choices of which one is right."""

from pathlib import Path
from typing import NamedTuple

import xxhash

from winnow.errors import ConfigError
from winnow.text.contamination.config import EvaluationSet
from winnow.text.contamination.evaluation_files import read_rows
from winnow.text.contamination.items import Layout, choices_of, told_layout


class ChoiceItem(NamedTuple):
    """A question, its choices, and the place of the right one."""

    set: str
    id: str
    question: str
    choices: tuple[str, ...]
    right: int

    @property
    def whole(self) -> str:
        """The question and its right answer."""
        return f"{self.question} {self.choices[self.right]}"


def choice_items(entry: EvaluationSet, most: int) -> tuple[list[ChoiceItem], int]:
    """Items of a set, at most so many of them (drawn by a hash), and how many have no choice that is right.

    Raises:
        ConfigError: the file is malformed, or no item has choices and a right one.
    """
    given = None
    if entry.question or entry.answer or entry.choices:
        given = Layout(entry.question or "", entry.answer, entry.choices or ())
    found: list[tuple[int, ChoiceItem]] = []
    left_out = 0
    layout: Layout | None = None
    for line, row in read_rows(Path(entry.path), entry.path):
        where = f"{entry.path}, line {line:,}"
        layout = layout or told_layout(row, where, given)
        read = choices_of(row, layout, where)
        if read is None:
            left_out += 1
            continue
        item = ChoiceItem(entry.shown, f"line {line:,}", *read)
        found.append((xxhash.xxh3_64_intdigest(f"{line}\n{item.whole}".encode("utf-8", "replace")), item))
    if not found:
        raise ConfigError(
            f"evaluate.choices: {entry.path}: no item has choices and says which is right; name the fields as "
            "`question`, `choices` and `answer`"
        )
    return [item for _, item in sorted(found)[:most]], left_out
