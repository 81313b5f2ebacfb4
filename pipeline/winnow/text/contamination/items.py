"""Items of evaluation sets: a question, and one or more answers, from the fields of a row.

Which fields these are is told by the config, or by the names that a file has: :data:`LAYOUTS`, of which the first that
fits the first row is taken.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from winnow.errors import ConfigError
from winnow.text.contamination.evaluation_files import read_rows


class Layout(NamedTuple):
    """Names of fields; parts of a path are joined by dots."""

    question: str
    answer: str | None = None
    choices: tuple[str, ...] = ()


LAYOUTS = (
    Layout("question.stem", "answerKey", ("question.choices",)),  # OpenBookQA and ARC as published
    Layout("goal", "label", ("sol1", "sol2")),  # PIQA
    Layout("query", "gold", ("choices",)),  # HellaSwag
    Layout("ctx", "label", ("endings",)),  # HellaSwag of the hub
    Layout("prompt", "canonical_solution"),  # HumanEval
    Layout("Question", "Best Answer"),  # TruthfulQA
    Layout("question", "answerKey", ("choices",)),  # ARC of the hub
    Layout("question", "answer", ("choices",)),  # GSM8K, MMLU
    Layout("question_stem", "answerKey", ("choices",)),  # OpenBookQA of the hub
    Layout("text", "code"),  # MBPP
    Layout("problem", "solution"),  # MATH
    Layout("doc.query", "doc.gold", ("doc.choices",)),  # requests of evaluation harnesses
    Layout("instruction", "output"),
    Layout("input", "target"),
    Layout("prompt", "answer", ("choices",)),
    Layout("sentence"),
    Layout("text", "answer", ("choices",)),
)
"""Fields of known evaluation sets, the more special ones first."""
MOST_ANSWERS = 64
"""Of an item: more are no choices."""


@dataclass
class Items:
    """Items of all sets, column by column."""

    sets: list[str] = field(default_factory=list)
    """Names."""
    files: list[str] = field(default_factory=list)
    """Of each set the name of its file."""
    set: list[int] = field(default_factory=list)
    """Of each item the place of its set."""
    line: list[int] = field(default_factory=list)
    """Of each item its line, or its row, from 1."""
    question: list[str] = field(default_factory=list)
    """Of each item; empty where the row has none."""
    answers: list[tuple[str, ...]] = field(default_factory=list)
    """Of each item the right answer; all choices where nobody says which is right."""

    def __len__(self) -> int:
        return len(self.line)


def read_items(items: Items, path: Path, name: str, shown: str, given: Layout | None = None) -> None:
    """Add the items of a set.

    Args:
        items: that are there already.
        path: its file on this machine.
        name: what reports call it.
        shown: what messages call its file.
        given: the fields that the config names, those of them that it does; None: all are told by the first row.

    Raises:
        ConfigError: the file is malformed, has no item, or lacks a field; with file and line.
    """
    number, before = len(items.sets), len(items)
    items.sets.append(name)
    items.files.append(path.name)
    layout: Layout | None = None
    seen = False
    row: dict[str, Any] = {}
    for line, row in read_rows(path, shown):
        if layout is None:
            layout = told_layout(row, f"{shown}, line {line:,}", given)
            _check_named(row, given, f"{shown}, line {line:,}")
        seen = seen or _has(row, layout.question)
        question, answers = _item(row, layout, f"{shown}, line {line:,}")
        items.set.append(number)
        items.line.append(line)
        items.question.append(question)
        items.answers.append(answers)
    if len(items) == before:
        raise ConfigError(f"{shown}: holds no item; name the file that does")
    if not seen and layout is not None:
        raise ConfigError(
            f"{shown}: no item has the field {layout.question!r}; the first has {_names(row)}: name the right one as "
            "`question`"
        )


def told_layout(row: dict[str, Any], where: str, given: Layout | None) -> Layout:
    """The fields that an item has, where the config does not name all.

    Raises:
        ConfigError: they are none that are known.
    """
    for layout in LAYOUTS:
        if _has(row, layout.question) and (given is None or given.question in ("", layout.question)):
            answer = layout.answer if layout.answer is not None and _has(row, layout.answer) else None
            choices = layout.choices if all(_has(row, name) for name in layout.choices) else ()
            if layout.answer is not None and answer is None and _another_fits(row, layout):
                continue
            if given is None:
                return Layout(layout.question, answer, choices)
            return Layout(layout.question, given.answer or answer, given.choices or choices)
    if given is not None and given.question:
        return given
    raise ConfigError(
        f"{where}: nobody can tell which field is the question; there are {_names(row)}: name them, such as "
        "`{path: ..., question: question, answer: answer, choices: choices}`"
    )


def _check_named(row: dict[str, Any], given: Layout | None, where: str) -> None:
    """Look whether the first row has the fields that the config names; of later ones some may be missing.

    Raises:
        ConfigError: it lacks one.
    """
    for name in () if given is None else filter(None, (given.question, given.answer, *given.choices)):
        if name not in row and _value(row, name) is None:
            raise ConfigError(f"{where}: has no field {name!r}; there are {_names(row)}")


def _another_fits(row: dict[str, Any], than: Layout) -> bool:
    """Whether another layout has the same question and an answer that the row has."""
    return any(
        layout.question == than.question and layout.answer is not None and _has(row, layout.answer)
        for layout in LAYOUTS
        if layout != than
    )


def _names(row: dict[str, Any]) -> str:
    return ", ".join(repr(name)[:60] for name in list(row)[:20]) or "no fields"


def _value(row: dict[str, Any], name: str) -> Any:
    """The value of a field: of that very name, or along a path."""
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def _has(row: dict[str, Any], name: str) -> bool:
    return _value(row, name) is not None


def _item(row: dict[str, Any], layout: Layout, where: str) -> tuple[str, tuple[str, ...]]:
    question = _value(row, layout.question)
    if question is not None and not isinstance(question, str):
        raise ConfigError(
            f"{where}: field {layout.question!r} is a {type(question).__name__}; expected the text of a question"
        )
    choices, labels = _choices(row, layout.choices, where)
    answer = None if layout.answer is None else _value(row, layout.answer)
    answers = choices if answer is None else _answers(answer, choices, labels)
    if len(answers) > MOST_ANSWERS:
        raise ConfigError(f"{where}: {len(answers):,} answers, at most {MOST_ANSWERS} are expected; name other fields")
    return question or "", tuple(answer for answer in dict.fromkeys(answers) if answer.strip())


def choices_of(row: dict[str, Any], layout: Layout, where: str) -> tuple[str, tuple[str, ...], int] | None:
    """Question, choices, and the place of the right one; None where the row has fewer than two, or says none right.

    Raises:
        ConfigError: a field is not what it should be.
    """
    question, _ = _item(row, layout, where)
    choices, labels = _choices(row, layout.choices, where)
    answer = None if layout.answer is None else _value(row, layout.answer)
    right = None if answer is None else _place(answer, str(answer).strip(), choices, labels)
    if right is None or len(choices) < 2 or not all(choice.strip() for choice in choices):
        return None
    return question, tuple(choices), right


def _choices(row: dict[str, Any], names: tuple[str, ...], where: str) -> tuple[list[str], list[str]]:
    """Texts of the choices, and their labels."""
    found: list[Any] = []
    labels: list[str] = []
    for name in names:
        value = _value(row, name)
        if isinstance(value, dict) and isinstance(value.get("text"), list):  # of the hub: lists side by side
            labels += [str(label) for label in value.get("label") or []]
            value = value["text"]
        found += value if isinstance(value, list | tuple) else [] if value is None else [value]
    texts = []
    for choice in found:
        if isinstance(choice, dict):
            labels.append(str(choice.get("label", "")))
            choice = choice.get("text")  # noqa: PLW2901 - the text of what is called so
        if not isinstance(choice, str | int | float):
            raise ConfigError(
                f"{where}: a choice in {' and '.join(map(repr, names))} is a {type(choice).__name__}; expected a text"
            )
        texts.append(str(choice))
    return texts, labels


def _answers(answer: Any, choices: list[str], labels: list[str]) -> list[str]:
    """Texts of the answer: a choice by number, letter or label, or what stands there."""
    if isinstance(answer, list | tuple):
        return [text for each in answer for text in _answers(each, [], [])]
    if isinstance(answer, dict):
        return [text for each in answer.values() for text in _answers(each, [], [])]
    if not choices:
        return [] if isinstance(answer, bool) or answer is None else [str(answer)]
    text = str(answer).strip()
    place = _place(answer, text, choices, labels)
    return choices if place is None else [choices[place]]


def _place(answer: Any, text: str, choices: list[str], labels: list[str]) -> int | None:
    if text in labels:
        return labels.index(text) if len(labels) == len(choices) else None
    if text in choices and not isinstance(answer, int):
        return choices.index(text)
    if text.isascii() and text.isdecimal():
        return int(text) if len(text) < 4 and int(text) < len(choices) else None
    if len(text) == 1 and text.isascii() and text.isalpha() and ord(text.upper()) - 65 < len(choices):
        return ord(text.upper()) - 65
    return None
