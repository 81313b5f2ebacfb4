"""What the user says about one source of text."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from winnow.section import Section
from winnow.sources.readers.registry import READERS, formats_with_fields

AUTO = "auto"
"""A file's suffix says what it holds."""


def _known_format(name: str) -> str:
    return name if name == AUTO else READERS.check(name)


FormatName = Annotated[
    str, AfterValidator(_known_format), WithJsonSchema({"type": "string", "examples": ["jsonl", "parquet", "text"]})
]
"""Name of an input format that is installed."""


STRUCTURE = "#structure"
"""The column that carries a structured record's parts, beside the columns of ``keep``."""


LABEL = "#label"
"""The column that carries a document's label."""


def _list_as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _some_path(path: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if not path or (not isinstance(path, str) and not all(path)):
        raise ValueError(f"path ({path!r}) must name at least one file, folder or glob")
    return path


Paths = Annotated[str | tuple[str, ...], BeforeValidator(_list_as_tuple), AfterValidator(_some_path)]
"""A file, folder or glob, or several of them."""


class SourceConfig(Section):
    """One source: where its files are, what they hold, and which fields matter."""

    name: str = Field(min_length=1)
    """Name of the source in tables and reports: letters, digits and - _ . only."""
    path: Paths
    """Files, folders (searched through) or globs (`**` goes through folders); one, or a list of them."""
    format: FormatName = AUTO
    """What the files hold: `jsonl`, `parquet`, `text`, or the format of an installed package. `auto` goes by suffix:
    .jsonl .ndjson .json, .parquet, .txt .md and the like, each of them (but Parquet) also with .gz .zst .bz2 .xz behind
    it."""
    text: str = Field(default="text", min_length=1)
    """Field or column that holds the text; `a.b` is field b inside a, unless a field is itself called
    `a.b`."""
    id: str | None = Field(default=None, min_length=1)
    """Field or column that holds the document's id; None derives one from source, path and row."""
    keep: Annotated[tuple[str, ...], BeforeValidator(_list_as_tuple)] = ()
    """Fields or columns to carry along. Strings stay as they are, everything else becomes its JSON text
    (columns of Parquet: their Arrow text form); a document without the field gets null."""
    weight: float = Field(default=1.0, gt=0, le=1000)
    """Copies of each document in an epoch: 2.0 is twice, 0.5 is every second one by hash, 1.5 one or two."""
    licence: str | None = None
    """Licence of the texts, for the datasheet."""
    separator: str | None = Field(default=None, min_length=1)
    """Plain text only: documents of a file are separated by this; None makes every file one document."""
    invalid_utf8: Literal["replace", "reject"] = "replace"
    """What to do with bytes that are not UTF-8: put U+FFFD in their place (counted), or leave the record
    unread."""
    max_document_mb: int = Field(default=512, ge=1, le=1024)
    """A larger record (line, cell, piece) is unreadable, in 10^6 bytes. Reading one takes about four times as
    much."""

    messages: str | None = Field(default=None, min_length=1)
    """Conversations: field or column with a list of messages, each with `role` (system, user, assistant, tool) and
    `content`; takes the place of `text`."""
    prompt: str | None = Field(default=None, min_length=1)
    """Instructions: field or column with what the user says; `response` says what the assistant answers."""
    response: str | None = Field(default=None, min_length=1)
    """Field or column with the assistant's answer to `prompt`."""
    compare_system: bool = True
    """Conversations: whether system turns belong to the text that is filtered and compared. False leaves them out
    there, so that one long system prompt does not make chats alike; the shards have them all the same."""
    chat_template: str | None = Field(default=None, min_length=1)
    """Jinja2 template of conversations, or the path of a file with one; None = ChatML. What the assistant writes must
    stand between `{% generation %}` and `{% endgeneration %}`."""
    pair: str | None = Field(default=None, min_length=1)
    """Sentence pairs: field or column with the second text; `text` is the first one."""
    label: str | None = Field(default=None, min_length=1)
    """Classification: field or column with the document's label (a string, an integer, or true or false). Needs
    `shards.row: document`; all sources have a label, or none has."""

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            raise ValueError(f"name ({name!r}) must consist of letters, digits and - _ . only")
        return name

    @field_validator("keep")
    @classmethod
    def _keep_once(cls, keep: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(keep)) != len(keep) or not all(keep):
            raise ValueError(f"keep ({', '.join(keep)}) must name each field once")
        return keep

    @model_validator(mode="after")
    def _one_structure(self) -> Self:
        if (self.prompt is None) != (self.response is None):
            raise ValueError("prompt and response belong together: give both, or neither")
        given = [name for name in ("messages", "prompt", "pair") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)}: give one of them; a record has one structure")
        if self.chat_template is not None and not self.is_chat:
            raise ValueError("chat_template is for sources with messages, or with prompt and response")
        if not self.compare_system and not self.is_chat:
            raise ValueError("compare_system is for sources with messages, or with prompt and response")
        if self.label is not None:
            given.append("label")
        if given and self.format != AUTO and not READERS.get(self.format).has_fields:
            raise ValueError(
                f"{given[0]}: files of format {self.format} have no fields; format must be {formats_with_fields()}"
            )
        return self

    @property
    def is_chat(self) -> bool:
        """Whether records are conversations."""
        return self.messages is not None or self.prompt is not None

    @property
    def is_prose(self) -> bool:
        """Whether documents are plain texts: for these the published rule sets were made."""
        return not self.structure_fields and self.label is None

    @property
    def structure_fields(self) -> tuple[str, ...]:
        """Fields that a structured record is made of; none for plain texts."""
        if self.prompt is not None and self.response is not None:
            return self.prompt, self.response
        if self.messages is not None:
            return (self.messages,)
        return () if self.pair is None else (self.text, self.pair)

    @property
    def carried(self) -> tuple[str, ...]:
        """Columns that travel beside the text: those of ``keep``, the structure, the label."""
        structure = (STRUCTURE,) if self.structure_fields else ()
        return (*self.keep, *structure, *((LABEL,) if self.label else ()))

    @property
    def paths(self) -> tuple[str, ...]:
        """``path`` as a tuple."""
        return (self.path,) if isinstance(self.path, str) else self.path

    @property
    def max_document_bytes(self) -> int:
        """``max_document_mb`` in bytes."""
        return self.max_document_mb * 1_000_000
