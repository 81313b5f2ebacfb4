"""The settings `dedup.lines`."""

from typing import Literal

from pydantic import Field

from winnow.section import Names, Section


class LinesConfig(Section):
    """Lines that many documents of a source share: navigation, footers, licence headers."""

    unit: Literal["line", "paragraph"] = "line"
    """What is counted and removed: single lines, or paragraphs (lines between blank lines)."""
    max_documents: int = Field(100, ge=1)
    """A line goes from every document of a source when more than this many documents of the source hold it."""
    min_characters: int = Field(20, ge=1)
    """Shorter lines (in code points, white space around them apart) are never removed: brackets, tags, list marks."""
    sources: Names | None = None
    """Names of the sources it is done in; none given: all. Leave out program text and markup, where lines that many
    files share, such as imports, carry meaning."""
