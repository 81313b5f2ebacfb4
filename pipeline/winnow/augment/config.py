"""The settings of `winnow augment`: a file of its own, because what it makes is the input of a run."""

import ipaddress
import re
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from winnow.augment.operator import Operator, Prompts
from winnow.augment.operators.registry import OPERATORS
from winnow.section import Names, Section, Share
from winnow.storage.config import PathSetting


def _one_or_several(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class EndpointConfig(Section):
    """A server with the chat completions of OpenAI's API: a provider's, `vllm serve`, Ray Serve LLM, llama.cpp."""

    url: str
    """Where the API begins, such as https://llm.example/v1; requests go to `chat/completions` below it and nowhere
    else."""
    model: str = Field(min_length=1)
    """Name of the model, as the server has it."""
    key_from: str | None = Field(default=None, pattern="^[A-Za-z_][A-Za-z0-9_]*$")
    """Variable of the environment that holds the key. The key itself stands in no config, log or result."""
    plain_http: bool = False
    """Whether texts and key may go to another machine over http://, unencrypted; to this machine they always may."""
    requests_at_once: int = Field(default=16, ge=1, le=1024)
    """Requests that wait for their answers at a time."""
    timeout_seconds: float = Field(default=300.0, gt=0, le=3600)
    """How long a request may wait for its answer."""
    tries: int = Field(default=8, ge=1, le=20)
    """How often a request is sent where the server is busy (429), fails (5xx), is silent or answers nonsense; waits
    grow from 1 s to 60 s, and are as long as the server asks for (Retry-After), up to 120 s."""
    max_answer_tokens: int = Field(default=2048, ge=1, le=1_000_000)
    """Longest answer; one that is cut off there is not taken."""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"temperature": 0.7})
    """Other fields of a request, such as temperature, top_p or seed. Another value asks everything anew."""

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("expected an address such as https://llm.example/v1")
        if parts.username or parts.password:
            raise ValueError("holds a name or a password; name the variable with the key in key_from")
        return url.rstrip("/").removesuffix("/chat/completions")

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not self.plain_http and not _is_this_machine(parts.hostname or ""):
            raise ValueError(
                f"url: {self.url} is not encrypted; use https://, or set plain_http: true where everyone on the way "
                "may read the texts"
            )
        return self

    @field_validator("parameters")
    @classmethod
    def _not_ours(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        ours = {"model", "messages", "max_tokens", "stream", "n"} & parameters.keys()
        if ours:
            raise ValueError(f"{', '.join(sorted(ours))}: set by Winnow, and cannot be given")
        return parameters


class OperatorConfig(Section):
    """One operator, for every passage."""

    OWN: ClassVar[tuple[str, ...]] = ("style", "through")
    """Settings of some operators only."""

    use: str
    """`rephrase`, `questions`, `back_translation`, `prompt` (your own), or that of an installed package."""
    name: str | None = Field(default=None, pattern="^[A-Za-z0-9_.-]+$")
    """How results call it; None: as `use`."""
    style: str | None = None
    """Of `rephrase`: `easy`, `medium` or `hard`."""
    through: str | None = Field(default=None, pattern=r"^[^\W\d_][^\n{}]{0,40}$")
    """Of `back_translation`: the language that texts go through, such as German."""
    prompts: Annotated[tuple[PathSetting, ...], BeforeValidator(_one_or_several)] = ()
    """Files with prompts of your own in place of the built-in ones: UTF-8, with `{text}` once; several are asked one
    after the other, each about the answer before. `{mark}` stands for a word that the text does not hold, `{original}`
    for the language of the document."""
    min_length: float | None = Field(default=None, ge=0, le=1000)
    """Characters of a text to those of its passage, at least; None: as the operator has it."""
    max_length: float | None = Field(default=None, gt=0, le=1000)
    """And at most."""

    @field_validator("use")
    @classmethod
    def _known(cls, use: str) -> str:
        return OPERATORS.check(use)

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        given = [name for name in self.OWN if getattr(self, name) is not None]
        for name in given:
            if name not in self.operator.settings:
                raise ValueError(f"{name}: {self.use} has no such setting")
        if not self.prompts or self.use != "prompt":
            self.asked  # noqa: B018 - raises where a setting cannot be used
        return self

    @property
    def operator(self) -> Operator:
        """What ``use`` names."""
        return OPERATORS.get(self.use)

    @property
    def label(self) -> str:
        """``name``, or ``use``."""
        return self.name or self.use

    @property
    def asked(self) -> Prompts:
        """The operator's own prompts."""
        given = {name: value for name in self.OWN if (value := getattr(self, name)) is not None}
        return self.operator.prompts(given)

    @property
    def lengths(self) -> tuple[float, float]:
        """Least and most characters of a text to those of its passage."""
        least = self.operator.min_length if self.min_length is None else self.min_length
        return least, self.operator.max_length if self.max_length is None else self.max_length


class BudgetConfig(Section):
    """What may be spent, all attempts of the same command together. At the limit no request is sent any more, and what
    was answered is written."""

    max_requests: int | None = Field(default=None, ge=1)
    """Requests, tries that failed included."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Tokens of prompts and answers together, as the server counts them."""
    max_cost: float | None = Field(default=None, gt=0)
    """Of the two prices, in their currency."""
    prompt_price: float = Field(default=0.0, ge=0)
    """Of a million tokens of prompts."""
    answer_price: float = Field(default=0.0, ge=0)
    """Of a million tokens of answers."""

    @model_validator(mode="after")
    def _priced(self) -> Self:
        if self.max_cost is not None and not (self.prompt_price or self.answer_price):
            raise ValueError("max_cost needs prices: set prompt_price and answer_price, each of a million tokens")
        return self

    def cost(self, prompt_tokens: int, answer_tokens: int) -> float:
        """Of so many tokens."""
        return (prompt_tokens * self.prompt_price + answer_tokens * self.answer_price) / 1e6


class AugmentConfig(Section):
    """What is made of which documents, by which model."""

    of: PathSetting
    """The folder of a finished run, whose kept documents are taken."""
    out: PathSetting
    """The folder to write; a later run reads `documents` in it as a source."""
    endpoint: EndpointConfig
    operators: Annotated[tuple[OperatorConfig, ...], BeforeValidator(_one_or_several)] = Field(min_length=1)
    """What is asked, of every passage."""
    sources: Names | None = None
    """Of which sources of that run; None: of all whose documents are plain texts."""
    share: Share = 1.0
    """Of their documents, drawn by a hash of source and id: always the same ones, and more of them with a larger
    share."""
    passage_characters: int = Field(default=4000, ge=100, le=1_000_000)
    """A longer document is cut into passages, at ends of paragraphs, lines or sentences where there are any; each is
    asked about, and gives a document."""
    max_passages: int = Field(default=8, ge=1, le=10_000)
    """Of one document; what lies behind them is passed over, and counted."""
    budget: BudgetConfig = BudgetConfig()
    max_unused_share: Share = 0.5
    """Stop where more of the answers than that are of no use, once there are 50."""

    @field_validator("operators")
    @classmethod
    def _named_once(cls, operators: tuple[OperatorConfig, ...]) -> tuple[OperatorConfig, ...]:
        labels = [operator.label for operator in operators]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"two operators are named {label!r}; give one a name of its own")
        return operators

    @field_validator("out")
    @classmethod
    def _not_a_glob(cls, out: str) -> str:
        if re.search(r"[*?\[]", out):
            raise ValueError(f"{out!r}: expected a folder; a later run reads it as a glob, so without * ? [")
        return out
