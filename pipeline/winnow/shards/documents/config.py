"""The section `documents` of the config."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator

from winnow.section import Section
from winnow.shards.documents.formats import TEXT_FORMATS

FormatName = Annotated[
    str,
    AfterValidator(TEXT_FORMATS.check),
    WithJsonSchema({"type": "string", "examples": ["parquet", "jsonl.zst"]}),
]
"""Name of a text format that is installed."""


class DocumentsConfig(Section):
    """Clean text beside the shards: each kept document once, with the columns asked for."""

    formats: tuple[FormatName, ...] = Field(("parquet",), strict=False, min_length=1)
    """Formats to write: parquet, jsonl.zst, and those of installed packages."""
    columns: tuple[str, ...] = Field(("id", "text", "source", "language"), strict=False, min_length=1, max_length=100)
    """Columns in this order: `doc`, `id`, `text`, `source`, `language`, `split`, `copies` (times in the shards),
    `tokens`, `duplicates` (documents removed as copies of it), `licence` (the document's own, else its source's), any
    kept field, any signal, and of `select` `cluster`, `centre_cosine`, `quality` and `importance`."""
    order: Literal["global", "input"] = "global"
    """`global` is a uniform shuffle, `input` the order of the inputs with one file a part."""
    shard_mb: int = Field(256, ge=1)
    """Size of the text in a file, in MB, with `order: global`."""

    @field_validator("formats", "columns")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name!r} is named twice; name each one once")
        return names
