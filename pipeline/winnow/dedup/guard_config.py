"""The settings `dedup.guard`."""

from typing import Literal

from pydantic import Field

from winnow.section import Section


class GuardConfig(Section):
    """What a near-duplicate's keeper must have, besides the similarity; docs/design.md has the measurements."""

    script: bool = True
    """Only within one script (Japanese, Han, Cyrillic ...), judged by the prose: code, tags and Latin names count
    little. Documents without letters go with any."""
    language: bool = True
    """Only within one language, where both are sure: each of the two has prose of which both halves are called the
    same. Otherwise this asks nothing."""
    min_containment: float = Field(0.9, ge=0, le=1)
    """Smallest share of the removed text's different runs of three words that its keeper holds. 0 = any."""
    keeper_not_shorter: bool = True
    """Only for a keeper of at least as many characters, unless none of these runs of words is lost."""
    templates: Literal["remove", "keep"] = "remove"
    """Pages of one template with other data: `remove` = as any others; `keep` = they stay, where each of the two has
    runs of three words of its own that are rare among the candidates, and under half of those of the one removed
    stand in its keeper. Copies that somebody edited by hand stay, too."""
