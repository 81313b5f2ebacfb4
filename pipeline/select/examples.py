"""Files of examples that the user points at: what a sample should be like, what is good, what is bad."""

from typing import Any

from pydantic import Field, field_validator, model_validator

from pipeline.section import Section
from pipeline.sources.source import Format, SourceConfig


class ExamplesConfig(Section):
    """Example texts, read as a source is; a path or a list of paths alone will do."""

    path: str | tuple[str, ...]
    """Files, folders or globs, as in `sources`."""
    format: Format | None = None
    """What the files hold; None goes by suffix."""
    text: str = Field("text", min_length=1)
    """Field or column that holds the text."""
    separator: str | None = Field(None, min_length=1)
    """Plain text only: examples of a file are separated by this; None makes every file one example."""

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str | list | tuple) else value

    @field_validator("path", mode="before")
    @classmethod
    def _list_is_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("path")
    @classmethod
    def _some_path(cls, path: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not path or (not isinstance(path, str) and not all(path)):
            raise ValueError(f"path ({path!r}) must name at least one file, folder or glob")
        return path

    def source(self, name: str) -> SourceConfig:
        """The same as a source; ``name`` is the setting's, so that messages name it."""
        return SourceConfig(
            name=name, path=self.path, format=self.format or "auto", text=self.text, separator=self.separator
        )
