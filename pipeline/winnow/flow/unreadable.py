"""What could not be read: told by kind with one place for each, and the share from which a run stops."""

from winnow import schemas
from winnow.errors import UnreadableShareError
from winnow.flow.reading import foreign_documents, reading_lines
from winnow.flow.records import RunRecords
from winnow.stages.tables import read_parquet

LONGEST_REASON = 200
"""Characters of a reason that are shown; it may quote names out of the input."""


def unreadable_summary(run: RunRecords) -> list[str]:
    """A line for each kind of reason, the most frequent first. Reads tables until every kind has its example."""
    counts = run.totals("measure", "unreadable_reason")
    examples: dict[str, str] = {}
    for record in run.of("measure"):
        prefix = "unreadable_reason/"
        kinds = {name.removeprefix(prefix) for name in record.counters if name.startswith(prefix)} - examples.keys()
        if not kinds:
            continue
        table = read_parquet(run.store, record.outputs["unreadable"].reference(), ["doc", "path", "position", "reason"])
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


def check_unreadable(run: RunRecords) -> None:
    """Stop before anything is decided on a broken input.

    Three shares count: unreadable records, and those in another encoding, among all records; bytes of files that could
    not be read to their end among all input bytes (a file that breaks early is one record, however much it held); and
    of files that lists name, of which no size is known before they are read, those that could not be read to their end.

    Raises:
        UnreadableShareError: either share is over ``compute.max_unreadable_share``.
    """
    limit = run.config.compute.max_unreadable_share
    unreadable, foreign = sum(run.totals("measure", "unreadable").values()), foreign_documents(run)
    bad, records = unreadable + foreign, unreadable + sum(run.totals("measure", "readable").values())
    unread, size = run.total("measure", "unread_bytes"), sum(file.bytes for file in run.files)
    with_lists = {name for name, told in run.found.items() if "lists" in told}
    dead, named = sum(run.totals("measure", "unread_listed").values()), sum(f.source in with_lists for f in run.files)
    shares = ((bad, records, "records"), (unread, size, "input bytes"), (dead, named, "files of lists"))
    for part, whole, of in shares:
        if whole and part / whole > limit:
            listed = "\n".join(f"  {line}" for line in [*unreadable_summary(run), *reading_lines(run)])
            wrong = "cannot be read or are in another encoding" if foreign else "cannot be read"
            encodings = "set `encoding` of the source that is not UTF-8 (a name, or `detect`), " if foreign else ""
            fatal = run.total("measure", "unreadable_reason/fatal")
            release = f"; `winnow release {run.config.run}` has quarantined documents tried again" if fatal else ""
            raise UnreadableShareError(
                f"{part:,} of {whole:,} {of} ({part / whole:.2%}) {wrong}, and "
                f"compute.max_unreadable_share allows {limit:.2%}\n{listed}\n"
                f"the list with file, position and reason: work/measure/*/*.unreadable.parquet in {run.config.run}; "
                f"{encodings}mend the input or raise the share, then run the same command: what was read stays{release}"
            )
