"""The settings `measure.language`."""

from pydantic import Field

from winnow.section import Section


class LanguageConfig(Section):
    """How a document's language is found."""

    characters: int = Field(default=2000, ge=1, le=100_000)
    """Characters at the start of a document that are looked at. Raising it costs time in proportion."""
