"""What the user says about one source of text."""

import datetime
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from winnow.operators.config import OperatorConfig
from winnow.section import Section
from winnow.sources.encoding import DETECT, UTF_8, Encoding, is_ascii_superset
from winnow.sources.readers.registry import READERS, formats_with_fields
from winnow.sources.structured.chat import CHATML, DATE, TemplateSettings
from winnow.storage.config import PathSetting, settle

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


_TWO_BYTES = {"gbk", "gb18030", "big5", "big5hkscs", "shift_jis", "cp932", "cp949", "johab", "shift_jisx0213", "cp950"}
"""Encodings in whose characters the second byte may be ASCII, of those that are cut before they are decoded."""


def _list_as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _as_tuple(one: str | tuple[str, ...]) -> tuple[str, ...]:
    return (one,) if isinstance(one, str) else one


def _some_path(path: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if not path or (not isinstance(path, str) and not all(path)):
        raise ValueError(f"path ({path!r}) must name at least one file, folder or glob")
    return path


def _some_names(names: str | tuple[str, ...]) -> str | tuple[str, ...]:
    given = (names,) if isinstance(names, str) else names
    if not given or not all(given) or len(set(given)) < len(given):
        raise ValueError(f"must name a field, or several different ones, but is {names!r}")
    return names


Names = Annotated[str | tuple[str, ...], BeforeValidator(_list_as_tuple), AfterValidator(_some_names)]
"""A field, or several of them."""


def _one_mark(delimiter: str) -> str:
    if not re.fullmatch(r"[\t -~]", delimiter) or delimiter.isalnum() or delimiter in "\"'":
        raise ValueError(f'delimiter ({delimiter!r}) must be one character such as , ; | or a tab ("\\t")')
    return delimiter


Paths = Annotated[PathSetting | tuple[PathSetting, ...], BeforeValidator(_list_as_tuple), AfterValidator(_some_path)]
"""A file, folder or glob, or several of them."""


def _any_path(path: str | tuple[str, ...]) -> str | tuple[str, ...]:
    return path if path == () else _some_path(path)


_PathsOrLists = Annotated[
    PathSetting | tuple[PathSetting, ...], BeforeValidator(_list_as_tuple), AfterValidator(_any_path)
]
"""The same, or nothing, where a list names the files."""


def _kind_of_extract(value: Any) -> str:
    return "function-operator" if isinstance(value, dict | OperatorConfig) else "literal-word"


Extract = Annotated[
    Annotated[Literal["main", "all", "raw", "trafilatura"], Tag("literal-word")]
    | Annotated[OperatorConfig, Tag("function-operator")],
    Discriminator(_kind_of_extract),
]
"""How text is taken out of HTML; the tags are what messages of pydantic call kinds of values."""


def _template_or_path(setting: str, info: ValidationInfo) -> str:
    return setting if "{" in setting or "\n" in setting else settle(setting, info)


_CHATS = "sources with messages, with prompt and response, or with chosen and rejected"


def _is_date(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


class SourceConfig(Section):
    """One source: where its files are, what they hold, and which fields matter."""

    name: str = Field(min_length=1)
    """Name of the source in tables and reports: letters, digits and - _ . only."""
    path: _PathsOrLists = ()
    """Files, folders (searched through) or globs (`**` goes through folders; a folder that a glob names is searched
    through); one, or a list of them. Names that begin with a dot are passed over, and what Spark and the like leave
    beside data: `_SUCCESS`, `_metadata`, `_delta_log` and so on."""
    paths_from: PathSetting | None = Field(default=None, min_length=1)
    """A list of files, a path or address a line (`#` begins a comment), in place of `path`: a file, an address of an
    object store or web server, or `cc://CC-MAIN-2026-05/warc.paths.gz` of Common Crawl (which `path` takes, too)."""
    ranges_from: PathSetting | None = Field(default=None, min_length=1)
    """Web archives: a list of records (JSONL, CDXJ, CSV, TSV or Parquet with filename, offset and length), in place of
    `path`; these alone are read."""
    base: PathSetting | None = Field(default=None, min_length=1)
    """What the paths of a list lie below, where they are no whole addresses; None: the folder that the list lies in (of
    Common Crawl, the place that `cc://` stands for)."""
    first_files: int | None = Field(default=None, ge=1)
    """To try something: only so many files, the first in the list, or in the order of their names."""
    sample_files: float | None = Field(default=None, gt=0, le=1)
    """To try something: only this share of the files, drawn by a hash of their paths, so always the same ones."""
    format: FormatName = AUTO
    """What the files hold: `jsonl`, `parquet`, `text`, `csv`, `warc`, `html`, `tar`, `zip`, `wiki` (dumps as XML),
    `epub`, or the format of an installed package. `auto` goes by suffix: .jsonl .ndjson .json, .parquet, .txt .md and
    the like, .csv .tsv, .warc .wet .arc, .html .htm, .tar .tgz, .zip, .xml, .epub, each of them (but Parquet, zip and
    EPUB) also with .gz .zst .bz2 .xz .lz4 behind it."""
    text: Names = "text"
    """Field or column that holds the text; `a.b` is field b inside a, unless a field is itself called
    `a.b`. Of several (`[content, text]`) the first that has a value."""
    html: str | None = Field(default=None, min_length=1)
    """Field or column that holds HTML, of which the text is taken; takes the place of `text`."""
    extract: Extract = "main"
    """What of HTML is text, in formats warc, html, tar and zip, too: the main content of a page (all of it where that
    is next to nothing), all text, the HTML as it is, for an operator of your own, or what trafilatura takes for the
    main content (of the extra `trafilatura`; a tenth as fast); or a mapper of your own that is given the HTML
    (`{use: "extract.py:NAME"}`, as in `measure.operators`). Of books `main` is all text; of format wiki `raw` is the
    wikitext."""
    id: str | None = Field(default=None, min_length=1)
    """Field or column that holds the document's id; None derives one from source, path and row. Bytes of a column of
    Parquet that are no text, such as hashes, are hexadecimal digits."""
    keep: Annotated[tuple[str, ...], BeforeValidator(_list_as_tuple)] = ()
    """Fields or columns to carry along, or the key of folders named `key=value`, for records without such a field.
    Strings stay as they are, everything else becomes its JSON text (columns of Parquet: their Arrow text form, a UUID
    with hyphens, other bytes of a fixed size in hexadecimal digits); a document without the field gets null."""
    augmented_from: str | None = Field(default=None, min_length=1)
    """Synthetic texts: field or column with the id of the document that each was made of, as `winnow augment` writes
    it. They share that document's split, are counted apart, and no other document goes as a duplicate of one."""
    weight: float = Field(default=1.0, gt=0, le=1000)
    """Copies of each document in an epoch: 2.0 is twice, 0.5 is every second one by hash, 1.5 one or two."""
    licence: str | None = None
    """Licence of the texts, for the datasheet."""
    separator: str | None = Field(default=None, min_length=1)
    """Plain text only: documents of a file are separated by this; None makes every file one document."""
    delimiter: Annotated[str, AfterValidator(_one_mark)] | None = None
    """CSV only: the character between fields; None is a comma, in .tsv files a tab."""
    quote: Literal['"', "'", ""] = '"'
    """CSV only: the character around fields that hold delimiters or line ends, doubled inside them; empty for none: a
    quote is then a character like others."""
    chapters: bool = False
    """EPUB only: every chapter (item of the book's reading order) is a document; False makes one of each book."""
    encoding: Encoding = UTF_8
    """Character encoding of files: a name such as `utf-8`, `cp1252`, `gbk` or `utf-16`, or `detect`: what is UTF-8 is
    read so, and other records in an encoding that is guessed (counted by encoding). Of Parquet: of values that are not
    UTF-8."""
    invalid_utf8: Literal["replace", "reject"] = "replace"
    """What to do with bytes that are not in the source's encoding: put U+FFFD in their place (counted; where most that
    is not ASCII was lost, the document counts towards `compute.max_unreadable_share`), or leave the record unread."""
    max_document_mb: int = Field(default=512, ge=1, le=1024)
    """A larger record (line, cell, piece) is unreadable, in 10^6 bytes. Reading one takes about four times as
    much."""

    messages: str | None = Field(default=None, min_length=1)
    """Conversations: field or column with a list of messages, each with `role` (system, user, assistant, tool) and
    `content` (a string, or a list of parts with `text`), or with ShareGPT's `from` and `value`; takes the place of
    `text`."""
    prompt: Names | None = None
    """Instructions: field or column with what the user says; `response` says what the assistant answers. Of several
    (Alpaca's `[instruction, input]`) those that hold something, with a blank line between them."""
    response: str | None = Field(default=None, min_length=1)
    """Field or column with the assistant's answer to `prompt`."""
    chosen: str | None = Field(default=None, min_length=1)
    """Preference pairs: field or column with the better answer, a string or a list of messages; `rejected` is the other
    one. What both lists begin with is the prompt; of strings `prompt` names it. Needs `shards.row: preference`."""
    rejected: str | None = Field(default=None, min_length=1)
    """Field or column with the worse answer, in the form of `chosen`."""
    compare_system: bool = True
    """Conversations: whether system turns belong to the text that is filtered and compared. False leaves them out
    there, so that one long system prompt does not make chats alike; the shards have them all the same."""
    chat_template: Annotated[str, AfterValidator(_template_or_path)] | None = Field(default=None, min_length=1)
    """Jinja2 template of conversations, or the path of a file with one; None = ChatML. What the assistant writes must
    stand between `{% generation %}` and `{% endgeneration %}`."""
    template_variables: dict[str, Any] = Field(default_factory=dict)
    """More variables of the template, by name (`enable_thinking: false`); they go before `bos_token` and the others."""
    template_date: str = DATE
    """The date that a template is told which asks for today's (`strftime_now`): fixed, so that ids are repeatable."""
    tools: str | None = Field(default=None, min_length=1)
    """Field or column with the tools that a conversation may call (a list, or its JSON text); `messages` only."""
    pair: str | None = Field(default=None, min_length=1)
    """Sentence pairs: field or column with the second text; `text` is the first one."""
    label: str | None = Field(default=None, min_length=1)
    """Classification: field or column with the document's label (a string, an integer, or true or false). Needs
    `shards.row: document`; all sources have a label, or none has."""

    @model_validator(mode="before")
    @classmethod
    def _text_of_html(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not values.get("html"):
            return values
        if values.get("text", values["html"]) != values["html"]:
            raise ValueError("html and text: give one of them; the text of a record is that of its HTML, or its own")
        return {**values, "text": values["html"]}

    @model_validator(mode="before")
    @classmethod
    def _keep_parent(cls, values: Any) -> Any:
        """The field of ``augmented_from`` is kept like those of ``keep``."""
        if not isinstance(values, dict) or not isinstance(field := values.get("augmented_from"), str):
            return values
        keep = values.get("keep", ())
        if not isinstance(keep, list | tuple) or field in keep:
            return values
        return {**values, "keep": [*keep, field]}

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
    def _one_place(self) -> Self:
        given = [name for name in ("path", "paths_from", "ranges_from") if getattr(self, name)]
        if len(given) != 1:
            named = " and ".join(given) or "none of them"
            raise ValueError(f"path, paths_from, ranges_from: a source needs one of them, and has {named}")
        if self.base is not None and given == ["path"]:
            raise ValueError("base is what the paths of a list lie below; it belongs to paths_from or ranges_from")
        return self

    @model_validator(mode="after")
    def _one_structure(self) -> Self:
        if (self.chosen is None) != (self.rejected is None):
            raise ValueError("chosen and rejected belong together: give both, or neither")
        if self.chosen is None and (self.prompt is None) != (self.response is None):
            raise ValueError("prompt and response belong together: give both, or neither")
        prompted = "response" if self.chosen else "prompt"
        given = [name for name in ("messages", prompted, "pair", "chosen") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)}: give one of them; a record has one structure")
        if self.pair is not None and not isinstance(self.text, str):
            raise ValueError("text: sentence pairs need one field for the first text, not several")
        if self.chat_template is not None and not self.is_chat:
            raise ValueError(f"chat_template is for {_CHATS}")
        if self.separator is not None and is_ascii_superset(self.encoding) and self.encoding != DETECT:
            try:
                self.separator.encode(self.encoding)
            except UnicodeEncodeError as error:
                raise ValueError(f"separator ({self.separator!r}) has characters that {self.encoding} lacks") from error
        if self.delimiter is not None and self.delimiter >= "@" and self.encoding in _TWO_BYTES:
            raise ValueError(
                f"delimiter ({self.delimiter!r}) can be half of a character in {self.encoding}, so fields cannot be "
                "told apart; convert the files to UTF-8, or to another delimiter"
            )
        if self.tools is not None and self.messages is None:
            raise ValueError("tools is for sources with messages")
        if not _is_date(self.template_date):
            raise ValueError(f"template_date ({self.template_date}) must be a date such as {DATE}")
        if not self.compare_system and not self.is_chat:
            raise ValueError(f"compare_system is for {_CHATS}")
        if self.label is not None:
            given.append("label")
        if given and self.format != AUTO and not READERS.get(self.format).has_fields:
            raise ValueError(
                f"{given[0]}: files of format {self.format} have no fields; format must be {formats_with_fields()}"
            )
        return self

    @property
    def separator_bytes(self) -> bytes:
        """``separator`` in the bytes of files, where these are text byte by byte; empty for none."""
        named = UTF_8 if self.encoding == DETECT or not is_ascii_superset(self.encoding) else self.encoding
        return (self.separator or "").encode(named)

    @property
    def is_chat(self) -> bool:
        """Whether records are conversations, which go through a template; preference pairs are two each."""
        return self.messages is not None or self.prompt is not None or self.is_preference

    @property
    def is_preference(self) -> bool:
        """Whether records are preference pairs."""
        return self.chosen is not None

    @property
    def template(self) -> TemplateSettings:
        """The template of conversations; ``chat_template`` must be its text."""
        return TemplateSettings(
            text=CHATML if self.chat_template is None else self.chat_template,
            variables=self.template_variables,
            date=self.template_date,
        )

    @property
    def is_prose(self) -> bool:
        """Whether documents are plain texts: for these the published rule sets were made."""
        return not self.structure_fields and self.label is None

    @property
    def structure_fields(self) -> tuple[str, ...]:
        """Fields that a structured record is made of; none for plain texts."""
        if self.chosen is not None and self.rejected is not None:
            return *_as_tuple(self.prompt or ()), self.chosen, self.rejected
        if self.prompt is not None and self.response is not None:
            return *_as_tuple(self.prompt), self.response
        if self.messages is not None:
            return (self.messages,) if self.tools is None else (self.messages, self.tools)
        return () if self.pair is None else (*self.texts, self.pair)

    @property
    def listed_fields(self) -> tuple[str, ...]:
        """Those of them that may hold lists of messages."""
        return self.structure_fields if self.is_preference else (self.messages,) if self.messages else ()

    @property
    def texts(self) -> tuple[str, ...]:
        """``text`` as a tuple."""
        return _as_tuple(self.text)

    @property
    def text_name(self) -> str:
        """``text`` in messages."""
        return " or ".join(map(repr, self.texts))

    @property
    def carried(self) -> tuple[str, ...]:
        """Columns that travel beside the text: those of ``keep``, the structure, the label."""
        structure = (STRUCTURE,) if self.structure_fields else ()
        return (*self.keep, *structure, *((LABEL,) if self.label else ()))

    @property
    def paths(self) -> tuple[str, ...]:
        """``path`` as a tuple."""
        return _as_tuple(self.path)

    @property
    def max_document_bytes(self) -> int:
        """``max_document_mb`` in bytes."""
        return self.max_document_mb * 1_000_000
