"""What is told of one document: its story, and what it is made of."""

from dataclasses import dataclass, field
from typing import Literal

from winnow.finished.earlier import EarlierDocument
from winnow.finished.families import Family
from winnow.finished.locate import DocumentLocation
from winnow.finished.passages import HeldPassage


@dataclass(frozen=True)
class FailedRule:
    """A rule that the document failed."""

    rule: str
    value: float
    threshold: float


@dataclass(frozen=True)
class Evidence:
    """What a rule on provenance found."""

    rule: str
    list: str | None
    """Of the user's, by name; None for a rule without lists."""
    entry: str | None
    """The listed host, address or words; what the page says of training; its licence; None: it says nothing."""


@dataclass(frozen=True)
class HeldItem:
    """An item of an evaluation set that a document holds, and where it holds most of it."""

    set: str
    file: str
    line: int
    question: str
    """Its beginning."""
    by: str
    """`question`, or `answer` for the question with its answer."""
    covered: int
    words: int
    begin: int
    """Byte of the text."""
    end: int
    places: int
    """At how many places."""


@dataclass(frozen=True)
class Story:
    """All that the run knows about one document."""

    doc: int
    id: str
    source: str
    path: str
    row: int
    text: str
    removed_lines: int
    removed_characters: int
    outcome: str
    failed_rules: tuple[FailedRule, ...]
    keeper: "Story | EarlierDocument | LostDocument | None"
    similarity: float | None
    measured_by: Literal["texts", "signatures"] | None
    """What a near-duplicate's similarity is: the true one of the two texts, or an estimate."""
    tokens: int | None
    places: tuple[DocumentLocation, ...]
    left_out: FailedRule | None = None
    """The step of select that left the document out of the sample, with its value and the limit."""
    label: str | None = None
    """Of a source with labels."""
    signals: tuple[tuple[str, float | bool | None], ...] = ()
    """What operators found: numbers of signals, verdicts of filters; None where there is no value."""
    containment: float | None = None
    """Share of the document's different word 3-grams that its keeper, or the one the guard refused, holds."""
    lost_ngrams: int | None = None
    """And how many it does not."""
    guard: str | None = None
    """Why the guard would not let it go for a better-ranked document; None where it did not have to."""
    guard_keeper: "Story | EarlierDocument | LostDocument | None" = None
    """And for which."""
    kept_fields: tuple[tuple[str, str], ...] = ()
    """Names and values of the fields that the source keeps, those that the document has."""
    evidence: tuple[Evidence, ...] = ()
    """What failed rules on provenance found."""
    removed_by_rule: tuple[tuple[str, int, int], ...] = ()
    """Line rules that took something out, each with lines and bytes."""
    held_items: tuple[HeldItem, ...] = ()
    """Items of evaluation sets, those first of which most is held."""
    bucket: str | None = None
    """Of a mixture by buckets, of documents of split train."""
    passages: tuple[HeldPassage, ...] = ()
    """Passages that stand in the corpus before, in their order; cut, where the document is kept."""
    family: Family = field(default_factory=Family)
    """The document that it was made of, and texts that were made of it."""


@dataclass(frozen=True)
class LostDocument:
    """A document of an earlier run that was dropped from the index."""

    doc: int
    run: str


@dataclass(frozen=True)
class UnreadableRecord:
    """A record that could not be read."""

    path: str
    row: int | None
    position: int
    reason: str
    id: str | None = None
