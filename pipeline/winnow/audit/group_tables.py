"""The audit of groups as tables of plain text, the same for the terminal and for the HTML page."""

from winnow.audit.group_results import GroupsAudit, Removal
from winnow.audit.groups import LEAST_REMOVED
from winnow.audit.intervals import Share
from winnow.audit.tables import TableOf

_TERMS = 8


def groups_headline(audit: GroupsAudit) -> str:
    """What stands out, in one sentence."""
    found = audit.disparate
    if not audit.groups:
        return f"None of {audit.documents:,} documents mentions a group of {audit.terms}."
    if not found:
        return (
            f"No rule removes documents that mention a group over {audit.ratio:g} times as often as others of the same "
            f"source, language and length, as far as {audit.documents:,} documents can tell."
        )
    return (
        f"{len(found):,} of {audit.comparisons:,} comparisons stand out: {_named(found[0])}"
        f"{f', and {len(found) - 1:,} more' if len(found) > 1 else ''}."
    )


def _named(removal: Removal) -> str:
    expected = removal.expected or 0
    times = f"{removal.ratio:.1f} times" if removal.ratio is not None else "where none were"
    return (
        f"{removal.step}, {removal.rule}, removes {removal.rate.share or 0:.1%} of documents that mention "
        f"{removal.group}, {times} the {expected:.1%} that were to be expected"
    )


def groups_tables(audit: GroupsAudit) -> list[TableOf]:
    """All tables."""
    return [_disparate(audit), _after(audit), _removals(audit), *_parts(audit), _found(audit)]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def _interval(share: Share) -> str:
    return "-" if share.share is None else f"{share.low:.2%} to {share.high:.2%}"


def _cells(removal: Removal) -> tuple[str, ...]:
    return (
        removal.step,
        removal.rule,
        removal.group,
        f"{removal.rate.hits:,} of {removal.rate.of:,}",
        _percent(removal.rate.share),
        _interval(removal.rate),
        _percent(removal.expected),
        "-" if removal.ratio is None else f"{removal.ratio:.2f}",
    )


_COLUMNS = ("step", "rule", "group", "documents", "removed", "95 % interval", "expected", "ratio")
_NUMBERS = frozenset(range(3, 8))


def _disparate(audit: GroupsAudit) -> TableOf:
    return TableOf(
        "What stands out",
        f"Rules and steps that remove at least {LEAST_REMOVED} documents that mention a group, and at least "
        f"{audit.ratio:g} times as often as other documents of the same source, language and length (in powers of "
        f"two), where an interval that holds for all {audit.comparisons:,} comparisons together leaves the expected "
        "out. It says that a rule meets a group more often, not why: look at the terms below, and at the documents "
        "(`winnow dropped RUN --rule RULE`).",
        _COLUMNS,
        tuple(_cells(removal) for removal in audit.disparate),
        _NUMBERS,
    )


def _after(audit: GroupsAudit) -> TableOf:
    steps = ("read", *audit.steps)
    rows = tuple(
        (
            group.group,
            *(f"{group.after[step].hits:,} ({_percent(group.after[step].share)})" for step in steps),
            _percent(group.kept.share),
            _interval(group.kept),
            _percent(group.expected),
            f"{group.effect:.2f}",
        )
        for group in audit.groups
    )
    columns = ("group", *(f"after {step}" if step != "read" else step for step in steps))
    return TableOf(
        "Documents that mention a group, before and after each step",
        f"{audit.documents:,} documents, {audit.text_bytes / 1e6:,.1f} MB of text; {audit.mentioning:,} mention a "
        "group. In brackets the share of all documents there. Kept: of those that mention it, to the end; expected: "
        "the same of others like them. Near-duplicates are not independent of each other, so intervals are widened by "
        "the design effect (last column): clusters of dedup, counted as if each told as much as one document. "
        "Documents that rules dropped were in no cluster.",
        (*columns, "kept", "95 % interval", "expected", "effect"),
        rows,
        frozenset(range(1, len(steps) + 5)),
    )


def _removals(audit: GroupsAudit) -> TableOf:
    rows = sorted((r for r in audit.removals if r.rate.hits), key=lambda r: (r.step, r.rule, -(r.ratio or 0), r.group))
    return TableOf(
        "Removed, by rule and group",
        "A document counts under every rule that it fails. In a filter of `mode: annotate` the rules only say what "
        "they would remove.",
        _COLUMNS,
        tuple(_cells(removal) for removal in rows),
        _NUMBERS,
    )


def _parts(audit: GroupsAudit) -> list[TableOf]:
    tables = []
    for kind in ("source", "language"):
        mine = [part for part in audit.parts if part.kind == kind]
        whole = {part.name: part for part in mine if not part.group}
        rows = []
        for part in mine:
            all_of_it = whole[part.name]
            rows.append(
                (
                    part.name,
                    part.group or "all documents",
                    f"{part.read:,}",
                    _percent(part.read / all_of_it.read),
                    f"{part.kept:,}",
                    _percent(part.kept / all_of_it.kept if all_of_it.kept else None),
                    _percent(part.kept / part.read),
                )
            )
        tables.append(
            TableOf(
                f"By {kind}",
                f"Documents of each {kind} that mention a group, read and kept to the end, with their share of its "
                "documents.",
                (kind, "group", "read", "share", "kept", "share", "of these kept"),
                tuple(rows),
                frozenset(range(2, 7)),
            )
        )
    return tables


def _found(audit: GroupsAudit) -> TableOf:
    rows = []
    for group, terms in audit.found.items():
        most = sorted(terms.items(), key=lambda item: (-item[1], item[0]))
        more = f", and {len(most) - _TERMS:,} more" if len(most) > _TERMS else ""
        rows.append((group, ", ".join(f"{term} {documents:,}" for term, documents in most[:_TERMS]) + more))
    note = f"Terms of {audit.terms}, with the documents that hold them. Terms are matched as whole words, case folded."
    if audit.altered:
        shown = ", ".join(audit.altered[:_TERMS]) + (", ..." if len(audit.altered) > _TERMS else "")
        note += (
            f" WARNING: {len(audit.altered):,} terms hold signs, which count for nothing: they are looked for as their "
            f"words, and are no patterns: {shown}."
        )
    return TableOf("Terms found", note, ("group", "terms"), tuple(rows))
