"""Chat templates: a conversation as one text, with the stretches that the assistant wrote.

A template is Jinja2 as ``transformers`` has it (``messages``, ``bos_token``, ``eos_token``, ``raise_exception``), with
the assistant's part between ``{% generation %}`` and ``{% endgeneration %}``. It is the user's own and runs in
Jinja's immutable sandbox without a loader, so without files; the conversations are anybody's.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from jinja2 import Environment, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

Message = dict[str, str]

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

_BEGIN, _END, _BREAK = "\ufdd0", "\ufdd1", "\ufdd2"
"""Noncharacters, which no text interchanges: around what the assistant wrote, and inside a special token's name that
stands in a content. In contents they become U+FFFD."""
_FORBIDDEN = str.maketrans(dict.fromkeys(_BEGIN + _END + _BREAK, "\ufffd"))
MAX_REPEATS = 1_000_000
"""Largest result of a repetition in a template, in items."""


class ChatTemplateError(ValueError):
    """A template is wrong, or it refuses a conversation. The message never quotes the conversation."""


class Rendered(NamedTuple):
    """A conversation as text, cut where special tokens stand."""

    segments: list[tuple[str, bool]]
    """Text, and whether it is a special token's name that the template wrote."""
    spans: list[tuple[int, int]]
    """What the assistant wrote: characters [begin, end) of all segments together."""


class _Generation(Extension):
    """``{% generation %}`` ... ``{% endgeneration %}``."""

    tags = {"generation"}  # noqa: RUF012 - as the base class has it

    def parse(self, parser: Parser) -> nodes.Node:
        """A call that puts its body between the two marks."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_marked"), [], [], body).set_lineno(line)

    def _marked(self, caller: Callable[[], str]) -> str:
        return _BEGIN + caller() + _END


class _Sandbox(ImmutableSandboxedEnvironment):
    """No changes to what it is given, no private attributes, and no huge repetition."""

    intercepted_binops = frozenset(("*", "**"))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuse ``"x" * 10**9`` and the like."""
        if operator == "**" and not (isinstance(right, int | float) and abs(right) <= 64):
            raise ChatTemplateError("the template takes a power with an exponent over 64")
        for one, other in ((left, right), (right, left)):
            repeats = operator == "*" and isinstance(one, str | list | tuple) and isinstance(other, int)
            if repeats and len(one) * other > MAX_REPEATS:
                raise ChatTemplateError(f"the template repeats something to over {MAX_REPEATS:,} items")
        return super().call_binop(context, operator, left, right)


def _raise(message: str) -> NoReturn:
    raise ChatTemplateError("the template refuses the conversation")


class ChatTemplate:
    """A compiled template."""

    def __init__(self, text: str) -> None:
        """Raise ChatTemplateError if it is not Jinja, or never marks what the assistant writes."""
        environment: Environment = _Sandbox(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
        )
        environment.globals["raise_exception"] = _raise
        try:
            tree = environment.parse(text)
            self._template = environment.from_string(text)
        except TemplateError as error:
            raise ChatTemplateError(f"chat_template is not valid Jinja2: {error}") from error
        if not any(isinstance(node.call.node, nodes.ExtensionAttribute) for node in _call_blocks(tree)):
            raise ChatTemplateError(
                "chat_template must put what the assistant writes between {% generation %} and {% endgeneration %}: "
                "without it no token could be trained on"
            )

    def render(
        self, messages: list[Message], special: re.Pattern[str] | None = None, names: dict[str, str] | None = None
    ) -> Rendered:
        """A conversation as text.

        Args:
            messages: each with ``role`` and ``content``.
            special: matches the names of special tokens; those in a content stay ordinary text. None = no such tokens.
            names: ``bos_token`` and ``eos_token``.

        Raises:
            ChatTemplateError: the template refuses the conversation or fails.
        """
        given = [{**message, "content": _ordinary(message["content"], special)} for message in messages]
        variables = {"bos_token": "", "eos_token": "", **(names or {})}
        try:
            text = self._template.render(messages=given, add_generation_prompt=False, tools=None, **variables)
        except ChatTemplateError:
            raise
        except Exception as error:
            raise ChatTemplateError(f"the template fails: {type(error).__name__}") from error
        text, spans = _take_spans(text)
        return _cut(text, spans, special)


def _call_blocks(tree: nodes.Template) -> list[nodes.CallBlock]:
    return list(tree.find_all(nodes.CallBlock))


def _ordinary(content: str, special: re.Pattern[str] | None) -> str:
    content = content.translate(_FORBIDDEN)
    return special.sub(lambda m: m[0][0] + _BREAK + m[0][1:], content) if special else content


def _take_spans(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without marks, and where they were."""
    pieces, spans, length, begin = [], [], 0, -1
    for piece in re.split(f"([{_BEGIN}{_END}])", text):
        if piece == _BEGIN and begin < 0:
            begin = length
        elif piece == _END and begin >= 0:
            spans.append((begin, length))
            begin = -1
        elif piece in (_BEGIN, _END):
            raise ChatTemplateError("the template nests generation blocks or cuts one in two")
        else:
            pieces.append(piece)
            length += len(piece)
    if begin >= 0:
        raise ChatTemplateError("the template nests generation blocks or cuts one in two")
    return "".join(pieces), spans


def _cut(text: str, spans: list[tuple[int, int]], special: re.Pattern[str] | None) -> Rendered:
    """Cut out special tokens; then contents get back the names that were broken."""
    segments: list[tuple[str, bool]] = []
    at = 0
    for match in special.finditer(text) if special else ():
        if match.start() > at:
            segments.append((text[at : match.start()].replace(_BREAK, ""), False))
        segments.append((match[0], True))
        at = match.end()
    if at < len(text):
        segments.append((text[at:].replace(_BREAK, ""), False))
    if _BREAK in text:
        spans = [(b - text.count(_BREAK, 0, b), e - text.count(_BREAK, 0, e)) for b, e in spans]
    return Rendered(segments, spans)


def special_pattern(names: list[str]) -> re.Pattern[str] | None:
    """Matches any of the names, the longest where several begin alike; None for no names."""
    long = sorted((name for name in names if len(name) > 1), key=lambda name: (-len(name), name))
    return re.compile("|".join(map(re.escape, long))) if long else None


@lru_cache(maxsize=16)
def chat_template(text: str | None) -> ChatTemplate:
    """Compiled once a process; None is the built-in one."""
    return ChatTemplate(CHATML if text is None else text)


def template_text(setting: str | None) -> str | None:
    """A template's text: ``setting`` itself where it holds a brace or a line break, else the file that it names.

    Raises:
        OSError, UnicodeDecodeError: the file cannot be read.
    """
    if setting is None or "{" in setting or "\n" in setting:
        return setting
    return Path(setting).read_text(encoding="utf-8")
