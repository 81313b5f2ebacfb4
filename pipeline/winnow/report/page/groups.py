"""The section on audits of groups: what stood out, and what was done about it."""

from winnow.errors import ConfigError
from winnow.flow.records import RunRecords
from winnow.report.group_audits import read_audits, state_of
from winnow.report.page.parts import Part, table

_MOST_ROWS = 100


def groups_section(run: RunRecords) -> Part | None:
    """Every audit that was made in this run folder, the latest first; None where none was made."""
    try:
        audits = read_audits(run)
    except ConfigError as error:
        return Part("Groups of people", str(error))
    if not audits:
        return None
    now = state_of(run)
    part = Part(
        "Groups of people",
        "What rules and steps removed of documents that mention a group, where it was more than of others of the same "
        "source, language and length. The latest audit stands first.",
        f"winnow audit groups {run.config.run}",
        "Look again",
    )
    for number, audit in reversed(list(enumerate(audits, 1))):
        which = (
            "of this run as it is"
            if audit["state"] == now
            else "of the run as it was before its config or input changed"
        )
        lines = [
            f"{audit['mentioning']:,} of {audit['documents']:,} documents mention a group of {audit['terms']}; "
            f"{len(audit['disparate']):,} of {audit['comparisons']:,} comparisons stand out (over {audit['ratio']:g} "
            "times what was to be expected)."
        ]
        lines.append(f"What was done: {audit['note']}" if audit["note"] else "What was done is not said (--note).")
        rows = [
            [f["step"], f["rule"], f["group"], f"{f['removed']:.2%}", f"{f['expected']:.2%}"]
            for f in audit["disparate"]
        ]
        tables = [table(["step", "rule", "group", "removed", "expected"], rows[:_MOST_ROWS], texts=3)] if rows else []
        part.parts.append(Part(f"Audit {number}, {which}", lines=lines, tables=tables))
    return part
