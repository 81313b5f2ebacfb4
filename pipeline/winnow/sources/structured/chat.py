"""Chat templates: a conversation as one text, with the stretches that the assistant wrote.

A template is Jinja2 as ``transformers`` has it, with the assistant's part between ``{% generation %}`` and
``{% endgeneration %}``. It is the user's own or a model's and runs in Jinja's immutable sandbox without a loader, so
without files, in a process that is ended where it goes on and on; the conversations are anybody's.
"""

import json
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import TemplateError, nodes
from pydantic import BaseModel, ConfigDict

from winnow.sources.structured.rendering import Conversation, render_all
from winnow.sources.structured.shapes import SAY_MORE
from winnow.sources.structured.template_environment import (
    BEGIN,
    BREAK,
    END,
    ChatTemplateError,
    TemplateEnvironment,
    special_pattern,
)

CHATML = """\
{% for message in messages %}
<|im_start|>{{ message['role'] }}
{% if message['role'] == 'assistant' %}
{% generation %}{{ message['content'] }}<|im_end|>{% endgeneration %}

{% else %}
{{ message['content'] }}<|im_end|>
{% endif %}
{% endfor %}
"""
"""The built-in template; its form is that of ChatML."""
CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")
DATE = "2024-07-26"
"""What ``strftime_now`` tells where nothing else is set; the one that Llama's templates fall back to."""
_GIVEN = ("messages", "documents", "add_generation_prompt", "loop", "caller", "varargs", "kwargs", "self")
"""Names that every template finds, besides the environment's; ``tools`` depends on the source."""
_SPECIAL_LOOK = re.compile(
    r"<\|[^\s<>|]{1,64}\|>|<｜[^\s<>｜]{1,64}｜>|</?s>|<(?:bos|eos|pad|unk)>|<(?:start|end)_of_\w{1,32}>|\[/?[A-Z][A-Z_]{2,32}\]"
)
"""Names that vocabularies give to special tokens."""


class TemplateSettings(BaseModel):
    """A source's template and what it finds besides the conversation."""

    model_config = ConfigDict(frozen=True)

    text: str = CHATML
    variables: dict[str, Any] = {}
    date: str = DATE


class Rendered(NamedTuple):
    """A conversation as text, cut where special tokens stand."""

    segments: list[tuple[str, bool]]
    """Text, and whether it is a special token's name that the template wrote."""
    spans: list[tuple[int, int]]
    """What the assistant wrote: characters [begin, end) of all segments together."""
    protected: bool
    """Whether a special token's name stands in the data, as ordinary text."""

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(text for text, _ in self.segments)


class Reads(NamedTuple):
    """What a template's text says of it."""

    variables: frozenset[str]
    """That it reads and does not set itself."""
    literals: str
    """What it writes as it stands, line by line."""


@lru_cache(maxsize=16)
def inspect_template(text: str) -> Reads:
    """Look at a template without compiling it: Jinja computes constants when it compiles.

    Raises:
        ChatTemplateError: it is not Jinja, or never marks what the assistant writes.
    """
    try:
        tree = TemplateEnvironment(DATE).parse(text)
        blocks = list(tree.find_all(nodes.CallBlock))
        names = list(tree.find_all(nodes.Name))
        macros = {macro.name for macro in tree.find_all(nodes.Macro)}
        literals = [piece.data for piece in tree.find_all(nodes.TemplateData)]
        literals += [str(const.value) for const in tree.find_all(nodes.Const) if isinstance(const.value, str)]
    except TemplateError as error:
        raise ChatTemplateError(f"chat_template is not valid Jinja2: {error}") from error
    except RecursionError as error:
        raise ChatTemplateError("chat_template is nested too deeply; no template needs hundreds of brackets") from error
    if not any(isinstance(block.call.node, nodes.ExtensionAttribute) for block in blocks):
        raise ChatTemplateError(
            "chat_template must put what the assistant writes between {% generation %} and {% endgeneration %}: "
            "without it no token could be trained on"
        )
    own = {name.name for name in names if name.ctx != "load"} | macros
    known = {*TemplateEnvironment(DATE).globals, *_GIVEN}
    read = frozenset(name.name for name in names if name.ctx == "load") - own - known
    return Reads(read, "\n".join(literals))


def render(
    settings: TemplateSettings,
    conversations: list[Conversation],
    special: tuple[str, ...] = (),
    names: dict[str, str] | None = None,
) -> list[Rendered | ChatTemplateError]:
    """Conversations as text.

    Args:
        settings: of the source.
        conversations: each with ``messages`` and ``tools`` (or None).
        special: names of special tokens; those in the data stay ordinary text.
        names: ``bos_token``, ``eos_token`` and the like; ``settings.variables`` go before them.

    Returns:
        For each, what it is as text, or why the template refuses it.
    """
    variables = {"bos_token": "", "eos_token": "", **(names or {}), **settings.variables}
    found = render_all(settings.text, settings.date, conversations, special, variables)
    pattern = special_pattern(special)
    rendered: list[Rendered | ChatTemplateError] = []
    for text in found:
        try:
            rendered.append(text if isinstance(text, ChatTemplateError) else _cut(*_take_spans(text), pattern))
        except ChatTemplateError as error:
            rendered.append(error)
    return rendered


def unread_parts(
    settings: TemplateSettings,
    conversations: list[Conversation],
    rendered: list[Rendered | ChatTemplateError],
    special: tuple[str, ...],
    names: dict[str, str],
) -> Counter[str]:
    """Parts of messages besides ``content`` of which a template writes nothing: in how many conversations.

    Args: as for :func:`render`, and ``rendered``, what it gave.
    """
    found: Counter[str] = Counter()
    for part in SAY_MORE:
        if any(re.search(rf"\b{name}\b", settings.text) for name in part):
            continue
        has = [next((name for name in part for m in one["messages"] if name in m), "") for one in conversations]
        rows = [n for n, name in enumerate(has) if name]
        less = [
            {**conversations[n], "messages": [_without(m, part) for m in conversations[n]["messages"]]} for n in rows
        ]
        for n, one in zip(rows, render(settings, less, special, names), strict=True):
            was = rendered[n]
            found[has[n]] += isinstance(was, Rendered) and isinstance(one, Rendered) and was.text == one.text
    return +found


def _without(message: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key not in names}


def spelled_names(text: str, special: tuple[str, ...] | frozenset[str]) -> set[str]:
    """What looks like a special token's name in a text and is none of the vocabulary's."""
    return {name for name in _SPECIAL_LOOK.findall(text) if name not in special}


def _take_spans(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without marks, and where they were."""
    pieces, spans, length, begin = [], [], 0, -1
    for piece in re.split(f"([{BEGIN}{END}])", text):
        if piece == BEGIN and begin < 0:
            begin = length
        elif piece == END and begin >= 0:
            spans.append((begin, length))
            begin = -1
        elif piece in (BEGIN, END):
            raise ChatTemplateError("the template nests generation blocks or cuts one in two")
        else:
            pieces.append(piece)
            length += len(piece)
    if begin >= 0:
        raise ChatTemplateError("the template nests generation blocks or cuts one in two")
    return "".join(pieces), spans


def _cut(text: str, spans: list[tuple[int, int]], special: re.Pattern[str] | None) -> Rendered:
    """Cut out special tokens; then the data gets back the names that were broken."""
    segments: list[tuple[str, bool]] = []
    at = 0
    for match in special.finditer(text) if special else ():
        if match.start() > at:
            segments.append((text[at : match.start()].replace(BREAK, ""), False))
        segments.append((match[0], True))
        at = match.end()
    if at < len(text):
        segments.append((text[at:].replace(BREAK, ""), False))
    protected = BREAK in text
    if protected:
        before = _breaks_before(text)
        spans = [(b - before[b], e - before[e]) for b, e in spans]
    return Rendered(segments, spans, protected)


def _breaks_before(text: str) -> list[int]:
    found, count = [0], 0
    for character in text:
        count += character == BREAK
        found.append(count)
    return found


def template_text(setting: str | None) -> str | None:
    """A template's text: ``setting`` itself where it holds a brace or a line break, else the file that it names.

    Raises:
        OSError: the file cannot be read.
        ChatTemplateError: there is no such file, or it holds something else.
    """
    if setting is None or "{" in setting or "\n" in setting:
        return setting
    try:
        text = Path(setting).read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ChatTemplateError(
            f"{setting}: {error.strerror}; give the path of a file with a template, or the template itself; without "
            "the setting it is ChatML"
        ) from error
    except UnicodeDecodeError as error:
        raise ChatTemplateError(f"{setting}: byte {error.start:,} is not UTF-8; save the file as UTF-8") from error
    if _is_json(text):
        raise ChatTemplateError(
            f"{setting}: is JSON, not a template; write what stands in its chat_template into a file of its own"
        )
    return text


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False
