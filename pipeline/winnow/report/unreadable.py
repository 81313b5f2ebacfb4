"""What could not be read, told: each kind of reason, how often, and one place where it happened."""

from winnow import schemas
from winnow.engine.records import Record, totals_under
from winnow.stages.tables import read_parquet
from winnow.storage.store import Store

LONGEST_REASON = 200
"""Characters of a reason that are shown; it may quote names out of the input."""


def unreadable_summary(store: Store, measured: list[Record]) -> list[str]:
    """A line for each kind of reason, the most frequent first. Reads tables until every kind has its example.

    Args:
        store: the run folder.
        measured: records of the stage ``measure``.
    """
    counts = totals_under(measured, "unreadable_reason")
    examples: dict[str, str] = {}
    for record in measured:
        kinds = {name for name in totals_under([record], "unreadable_reason") if name not in examples}
        if not kinds:
            continue
        table = read_parquet(store, record.outputs["unreadable"].reference(), ["doc", "path", "position", "reason"])
        for row in table.to_pylist():
            kind = row["reason"].split(":")[0]
            if kind in kinds and kind not in examples:
                examples[kind] = _place(row)
    listed = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [f"{number:,} x {kind}, such as {examples[kind]}" for kind, number in listed]


def _place(row: dict[str, str | int]) -> str:
    doc, path, position = row["doc"], row["path"], row["position"]
    kind, _, rest = " ".join(str(row["reason"]).split()).partition(": ")
    where = f"byte {position:,}" if doc == schemas.NO_DOC else f"row {int(doc) & 0xFFFFFFFF:,}"
    return f"{path}, {where}: {(rest or kind)[:LONGEST_REASON]}"
