"""What the audit of groups finds: plain figures, for its tables, its page, JSON, and the run's report."""

from dataclasses import dataclass, field

import numpy as np

from winnow.audit.intervals import Share
from winnow.engine.records import Json


@dataclass(frozen=True)
class Removal:
    """How a rule or step takes documents that mention a group, and others like them."""

    step: str
    rule: str
    """A rule of the step, or an outcome."""
    group: str
    rate: Share
    """Of the documents that mention the group and were there before the step."""
    expected: float | None
    """The same of documents of the same source, language and length that do not mention it; None: there are none."""
    disparate: bool
    """Whether it is over the expected by more than ``ratio``, and the interval for all comparisons leaves that out."""

    @property
    def ratio(self) -> float | None:
        """Removed for each one that was to be expected."""
        return None if not self.expected or self.rate.share is None else self.rate.share / self.expected


@dataclass(frozen=True)
class Representation:
    """Documents that mention a group, before and after each step."""

    group: str
    effect: float
    """Design effect of near-duplicates: so many documents of a cluster tell as much as one."""
    after: dict[str, Share]
    """By step, ``read`` first: the share of the documents there that mention the group."""
    kept: Share
    """Of the documents that mention it, those that were kept to the end."""
    expected: float | None
    """The same of documents of the same source, language and length that do not."""


@dataclass(frozen=True)
class Part:
    """A source or language: its documents, and those of them that mention a group."""

    kind: str
    name: str
    group: str
    """"" for all documents."""
    read: int
    kept: int


@dataclass
class GroupsAudit:
    """The result."""

    run: str
    terms: str
    """The file of the list."""
    state: str
    """Names what was looked at: another one where the run was changed since."""
    ratio: float
    note: str = ""
    """What was done about it, in the words of who ran the audit."""
    documents: int = 0
    text_bytes: int = 0
    mentioning: int = 0
    """Documents that mention any group."""
    comparisons: int = 0
    steps: list[str] = field(default_factory=list)
    groups: list[Representation] = field(default_factory=list)
    removals: list[Removal] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    found: dict[str, dict[str, int]] = field(default_factory=dict)
    """By group, terms that were found, with documents."""
    altered: list[str] = field(default_factory=list)
    """Terms of which signs count for nothing."""

    @property
    def disparate(self) -> list[Removal]:
        """What stands out, the largest ratio first."""
        found = [removal for removal in self.removals if removal.disparate]
        return sorted(
            found, key=lambda removal: (-(removal.ratio or np.inf), removal.step, removal.rule, removal.group)
        )


def summary_of(audit: GroupsAudit) -> Json:
    """What the run's report tells of an audit."""
    return {
        "state": audit.state,
        "terms": audit.terms,
        "documents": audit.documents,
        "mentioning": audit.mentioning,
        "ratio": audit.ratio,
        "note": audit.note,
        "comparisons": audit.comparisons,
        "disparate": [
            {
                "step": removal.step,
                "rule": removal.rule,
                "group": removal.group,
                "removed": removal.rate.share,
                "expected": removal.expected,
            }
            for removal in audit.disparate
        ],
    }
