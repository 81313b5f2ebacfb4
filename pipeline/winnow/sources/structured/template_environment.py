"""Jinja2 as ``transformers`` has it for chat templates, with bounds.

What compiles and renders is used by :mod:`winnow.sources.structured.render_process` alone: a template is the user's own
or a model's, and what it does with ``center``, ``%`` or ``indent`` inside one call cannot be stopped in this process.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

BEGIN, END, BREAK = "\ufdd0", "\ufdd1", "\ufdd2"
"""Noncharacters, which no text interchanges: around what the assistant wrote, and inside a special token's name that
stands in the data. In data they become U+FFFD."""
_FORBIDDEN = str.maketrans(dict.fromkeys(BEGIN + END + BREAK, "\ufffd"))
MAX_REPEATS = 1_000_000
"""Largest result of a repetition in a template, in items."""
MAX_STEPS = 1_000_000
"""Passes of loops and calls, of one conversation."""
MAX_GROWTH, MAX_FREE_CHARACTERS = 16, 1_000_000
"""A conversation may become so many times as long as its JSON, and so many characters more."""
_REASONING = ("reasoning_content", "thinking", "reasoning")


class ChatTemplateError(ValueError):
    """A template is wrong, or it refuses a conversation. The message never quotes the conversation."""


class TemplateBoundError(ChatTemplateError):
    """A template has to be ended: too many steps, too long a text, too much time or memory; or it does not compile."""


class _Generation(Extension):
    """``{% generation %}`` ... ``{% endgeneration %}``."""

    tags = {"generation"}  # noqa: RUF012 - as the base class has it

    def parse(self, parser: Parser) -> nodes.Node:
        """A call that puts its body between the two marks."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_marked"), [], [], body).set_lineno(line)

    def _marked(self, caller: Callable[[], str]) -> str:
        environment = self.environment
        assert isinstance(environment, TemplateEnvironment)
        environment.generations += 1
        return BEGIN + caller() + END


class _Dict:
    """``dict`` of templates."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        """As that of dict."""
        return dict.fromkeys(*args, **kwargs)


class _Namespace(Namespace):
    """Keeps no attribute that begins with an underscore."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, *rest = args
        values = dict(*rest, **kwargs)
        for name in values:
            _Namespace._check(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _Namespace._check(name)
        super().__setitem__(name, value)

    @staticmethod
    def _check(name: Any) -> None:
        if isinstance(name, str) and name.startswith("_"):
            raise SecurityError("a namespace takes no name that begins with an underscore")


def _raise(_message: str = "") -> NoReturn:
    raise ChatTemplateError("the template refuses the conversation")


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """No changes to what it is given, no private attributes; passes of loops and calls are counted."""

    intercepted_binops = frozenset(("*", "**"))

    def __init__(self, today: str | None = None) -> None:
        """``today`` (ISO) is the date of ``strftime_now``; without one it is not there. This side of Jinja reads no
        clock: the same input must give the same ids tomorrow."""
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
        self.steps, self.generations = 0, 0
        self.filters["tojson"] = _tojson
        self.filters["_counted"] = _counted
        self.globals["raise_exception"] = _raise
        self.globals["dict"] = _Dict()
        self.globals["namespace"] = _Namespace
        if today is not None:
            midnight = datetime.combine(date.fromisoformat(today), datetime.min.time())
            self.globals["strftime_now"] = midnight.strftime

    def step(self) -> None:
        """One more pass or call."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise TemplateBoundError(f"the template takes over {MAX_STEPS:,} steps")

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "_counted", [], [], None, None, lineno=loop.lineno, environment=self)
        return tree

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as the base class
        """A call, counted."""
        __self.step()
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuse ``"x" * 10**9`` and the like."""
        if operator == "**" and not (isinstance(right, int | float) and abs(right) <= 64):
            raise TemplateBoundError("the template takes a power with an exponent over 64")
        for one, other in ((left, right), (right, left)):
            repeats = operator == "*" and isinstance(one, str | list | tuple) and isinstance(other, int)
            if repeats and len(one) * other > MAX_REPEATS:
                raise TemplateBoundError(f"the template repeats something to over {MAX_REPEATS:,} items")
        return super().call_binop(context, operator, left, right)


@pass_context
def _counted(context: Any, items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        context.environment.step()
        yield item


class CompiledTemplate:
    """A template that renders."""

    def __init__(self, text: str, today: str | None = None) -> None:
        """Raise ChatTemplateError if it cannot be compiled."""
        self._environment = TemplateEnvironment(today)
        try:
            self._template = self._environment.from_string(text)
        except (TemplateError, RecursionError, SyntaxError) as error:
            raise TemplateBoundError(f"the template cannot be compiled: {type(error).__name__}") from error

    def render(
        self,
        messages: list[dict[str, Any]],
        special: re.Pattern[str] | None,
        variables: dict[str, Any],
        tools: list[Any] | None = None,
        size: int = 0,
    ) -> str:
        """A conversation as text with marks (``BEGIN``, ``END``, ``BREAK``).

        Args:
            messages: as in the data.
            special: matches the names of special tokens; those in the data stay ordinary text. None = no such tokens.
            variables: more of them, by name.
            tools: of the conversation.
            size: characters of its JSON.

        Raises:
            ChatTemplateError: the template refuses the conversation or fails; or what it writes is another text once a
            special token's name in the data is made ordinary text (it measures, cuts or escapes that name).
        """
        messages, tools = _with_reasoning(_clean(messages)), _clean(tools)
        text = self._render(messages, tools, variables)
        if len(text) > MAX_GROWTH * size + MAX_FREE_CHARACTERS:
            raise TemplateBoundError("the template writes over 16 times as much as it is given")
        given = [_protected(value, special) for value in (messages, tools)] if special else [messages, tools]
        if given == [messages, tools]:
            return text
        protected = self._render(given[0], given[1], variables)
        if protected.replace(BREAK, "") != text:
            raise ChatTemplateError("the template changes with a special token's name that stands in the data")
        return protected

    def _render(self, messages: Any, tools: Any, variables: dict[str, Any]) -> str:
        self._environment.steps = self._environment.generations = 0
        given = {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": False}
        try:
            text = self._template.render(**(variables | given))
        except ChatTemplateError:
            raise
        except MemoryError as error:
            raise TemplateBoundError("the template needs too much memory") from error
        except Exception as error:
            raise ChatTemplateError(f"the template fails: {type(error).__name__}") from error
        if not text.count(BEGIN) == text.count(END) == self._environment.generations:
            raise ChatTemplateError("the template escapes, repeats or drops what a generation block wrote")
        return text


def special_pattern(names: tuple[str, ...]) -> re.Pattern[str] | None:
    """Matches any of the names, the longest where several begin alike; None for no names."""
    long = sorted((name for name in names if len(name) > 1), key=lambda name: (-len(name), name))
    return re.compile("|".join(map(re.escape, long))) if long else None


def _clean(value: Any) -> Any:
    """Plain data without noncharacters of ours."""
    if type(value) is str:
        return value.translate(_FORBIDDEN)
    if type(value) is list:
        return [_clean(item) for item in value]
    if type(value) is dict:
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value


def _protected(value: Any, special: re.Pattern[str]) -> Any:
    """The same data, every special token's name in it broken."""
    if type(value) is str:
        return special.sub(lambda m: m[0][0] + BREAK + m[0][1:], value)
    if type(value) is list:
        return [_protected(item, special) for item in value]
    if type(value) is dict:
        return {_protected(key, special): _protected(item, special) for key, item in value.items()}
    return value


def _with_reasoning(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Nulls left out, and what an assistant thought under each of the names that templates read it by."""
    found = []
    for message in messages:
        given = {key: value for key, value in message.items() if value is not None}
        thought = next((given[name] for name in _REASONING if name in given), None)
        found.append(given if thought is None else {"thinking": thought, **given, "reasoning_content": thought})
    return found
