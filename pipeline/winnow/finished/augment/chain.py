"""From passages to texts by the answers that there are: requests one after the other, judged at the end."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from winnow.augment.answers import Answer, key_of
from winnow.augment.config import OperatorConfig
from winnow.augment.judge import OTHER_LANGUAGE, Made, fault_of, judge, other_languages, without_preamble
from winnow.augment.template import Template, built_in, from_file
from winnow.errors import ConfigError
from winnow.finished.augment.texts import Passage
from winnow.text.language.identifier import Identifier

Body = dict[str, Any]
Fetch = Callable[[Mapping[bytes, Body]], Mapping[bytes, "Answer | str"]]
"""Answers to requests by their keys, or why there is none."""


@dataclass(frozen=True)
class Asking:
    """An operator ready to ask."""

    config: OperatorConfig
    templates: tuple[Template, ...]
    prompt: str
    """Names its prompts: a hash of them and of what is set in them."""

    @property
    def label(self) -> str:
        """Its name in results."""
        return self.config.label


def asking_of(config: OperatorConfig, number: int) -> Asking:
    """Read an operator's prompts.

    Raises:
        ConfigError: one cannot be used.
    """
    try:
        own = config.use == "prompt" and bool(config.prompts)
        asked = None if own else config.asked
        variables = asked.variables if asked else {}
        if config.prompts:
            templates = [from_file(path, variables) for path in config.prompts]
        else:
            assert asked is not None
            templates = [built_in(name, variables) for name in asked.templates]
    except ValueError as error:
        raise ConfigError(f"operators.{number}: {error}") from error
    digest = hashlib.sha256()
    for template in templates:
        digest.update(repr((template.text, sorted(template.variables.items()))).encode())
    return Asking(config, tuple(templates), digest.hexdigest()[:16])


class Task(NamedTuple):
    """One passage for one operator."""

    passage: Passage
    asking: Asking


class Outcome(NamedTuple):
    """What became of a task."""

    reason: str = ""
    """Why there is no text; empty where there is."""
    text: str = ""
    answer: str = ""
    """As it came, the last one that did."""
    model: str = ""
    without_preamble: bool = False


def outcomes(tasks: list[Task], body_of: Callable[[str], Body], fetch: Fetch, identify: Identifier) -> list[Outcome]:
    """What becomes of each task; requests of one step are fetched together."""
    found: list[Outcome] = [Outcome()] * len(tasks)
    about = [task.passage.text for task in tasks]
    waiting, step = list(range(len(tasks))), 0
    while waiting:
        keys: dict[int, bytes] = {}
        bodies: dict[bytes, Body] = {}
        for n in waiting:
            body = body_of(tasks[n].asking.templates[step].fill(about[n], tasks[n].passage.language))
            keys[n] = key_of(body)
            bodies[keys[n]] = body
        answers = fetch(bodies)
        going_on = []
        for n in waiting:
            answer, last = answers[keys[n]], step + 1 == len(tasks[n].asking.templates)
            if isinstance(answer, str):
                found[n] = Outcome(answer)
            elif last:
                found[n] = _judged(tasks[n], answer)
            elif reason := fault_of(answer, about[n]):
                found[n] = Outcome(reason, answer=answer.content, model=answer.model)
            else:
                about[n] = without_preamble(answer.content)
                going_on.append(n)
        waiting, step = going_on, step + 1
    return _in_one_language(tasks, found, identify)


def _judged(task: Task, answer: Answer) -> Outcome:
    asking = task.asking
    lines = [line for template in asking.templates for line in template.lines]
    text = asking.config.operator.text_of(answer.content)
    judged = judge(answer, task.passage.text, text, lines, asking.config.lengths)
    return Outcome(judged.reason, judged.text, answer.content, answer.model, judged.without_preamble)


def _in_one_language(tasks: list[Task], found: list[Outcome], identify: Identifier) -> list[Outcome]:
    """Texts that should be in the language of their passage and are not get their reason."""
    asked = [n for n, task in enumerate(tasks) if not found[n].reason and task.asking.config.operator.same_language]
    differ = other_languages([Made(tasks[n].passage.text, found[n].text) for n in asked], identify)
    for n, other in zip(asked, differ, strict=True):
        if other:
            found[n] = found[n]._replace(reason=OTHER_LANGUAGE, text="")
    return found
