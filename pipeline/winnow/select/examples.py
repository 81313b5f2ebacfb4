"""Files of examples that the user points at: what a sample should be like, what is good, what is bad."""

from typing import Any

from pydantic import Field, model_validator

from winnow.section import Section
from winnow.sources.source import AUTO, FormatName, Paths, SourceConfig


class ExamplesConfig(Section):
    """Example texts, read as a source is; a path or a list of paths alone will do."""

    path: Paths
    """Files, folders or globs, as in `sources`."""
    format: FormatName | None = None
    """What the files hold; None goes by suffix."""
    text: str = Field("text", min_length=1)
    """Field or column that holds the text."""
    separator: str | None = Field(None, min_length=1)
    """Plain text only: examples of a file are separated by this; None makes every file one example."""

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str | list | tuple) else value

    def source(self, name: str) -> SourceConfig:
        """The same as a source; ``name`` is the setting's, so that messages name it."""
        return SourceConfig(
            name=name, path=self.path, format=self.format or AUTO, text=self.text, separator=self.separator
        )
