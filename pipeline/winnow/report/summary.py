"""What a run prints at its end, and ``winnow summary`` again: from records alone."""

import io
from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.table import Table

from winnow.engine.engine import StageSummary
from winnow.flow.flow import summary_lines
from winnow.flow.labels import documents_by_label
from winnow.flow.measure import removed_lines
from winnow.flow.reading import found_lines, passed_lines, reading_lines, reading_warnings
from winnow.flow.records import RunRecords
from winnow.flow.row_accounting import row_accounting
from winnow.flow.unreadable import unreadable_summary
from winnow.report.alarms import alarm_lines
from winnow.report.labels import labels_table, missing_labels
from winnow.report.languages import language_tables
from winnow.report.lines import lines_table
from winnow.report.manifest import outcomes_of
from winnow.report.outcomes import outcome_tables
from winnow.report.printable import printable
from winnow.report.reports import FOLDER, Report
from winnow.report.rule_tables import rule_tables
from winnow.report.tables import add_names, table_of
from winnow.stages.ingest.boilerplate import listed_lines


def _as_text(run: RunRecords) -> bytes:
    text = io.StringIO()
    # plain text whatever FORCE_COLOR or a notebook around it would have
    print_summary(run, Console(file=text, width=120, color_system=None, force_terminal=False, force_jupyter=False))
    return text.getvalue().encode()


REPORT = Report("summary", "summary.txt", _as_text)


def print_summary(run: RunRecords, console: Console, *, whole: bool = False) -> None:
    """Documents and bytes in, every outcome with its share, stages, tokens, shards, and where everything is.

    Args:
        run: a finished run.
        console: where to.
        whole: every source, language and rule, however many there are.
    """
    for entry in _entries(run, whole=True) if whole else summary_of(run):
        if isinstance(entry, str):  # not wrapped, so that it can be searched for and copied
            console.print(printable(entry, lines=False), soft_wrap=True, markup=False, highlight=False)
        else:
            console.print(entry)


def summary_of(run: RunRecords) -> list[RenderableType]:
    """The summary, entry by entry: lines as strings, tables as such. Made once, for all reports."""
    return run.once(_short)


def _short(run: RunRecords) -> list[RenderableType]:
    return list(_entries(run, whole=False))


def _entries(run: RunRecords, *, whole: bool) -> Iterator[RenderableType]:
    outcomes = outcomes_of(run)
    records, text_bytes = sum(outcomes.values()), run.total("measure", "text_bytes")
    stored = sum(file.bytes for file in run.files)
    yield ""
    sizes = f"{_size(stored)} stored, {_size(text_bytes)} of text"
    unasked = sum(not file.bytes and file.state.is_unasked for file in run.files)
    besides = f" ({unasked:,} files of lists not counted, whose size nobody has asked for)" if unasked else ""
    yield f"{records:,} records from {len(run.files):,} files: {sizes}{besides}"
    yield from outcome_tables(run, whole=whole)
    yield from language_tables(run, whole=whole)
    yield from rule_tables(run, whole=whole)
    yield from (f"unreadable: {line}" for line in unreadable_summary(run))
    yield from found_lines(run)
    yield from reading_lines(run)
    yield from passed_lines(run)
    yield from _boilerplate(run)
    yield from run.once(summary_lines)
    yield _stages(run.observed.stages)
    yield _splits(run)
    yield from _labels(run)
    yield "the books close: every record that came in is accounted for (kept + dropped + unreadable = read)"
    yield _duration(run, text_bytes)
    yield from (f"WARNING: {warning}" for warning in [*run.config.warnings, *reading_warnings(run)])
    if lost := run.observed.lineage_lost:
        yield f"WARNING: {lost:,} of {run.observed.lineage_events:,} lineage events could not be delivered (lineage)"
    yield from alarm_lines(run, whole=whole)
    yield from _encryption(run)
    yield f"shards and manifest: {run.store.location(run.shards)}"
    if run.config.report:
        yield f"what happened to the data, in pictures: {run.store.location(f'{FOLDER}/report.html')}"
    folder = run.config.run
    yield (
        f"which documents were dropped: winnow dropped {folder}; one of them: winnow why ID {folder}; "
        f"other thresholds: winnow tune {folder}"
    )


def _encryption(run: RunRecords) -> Iterator[str]:
    """Under which key, and what is not."""
    encryption = run.config.storage.encryption
    if encryption is None:
        return
    yield f"encrypted by the key with id {encryption.key_id}: shards and clean text" + (
        ", and the tables under work/" if encryption.work else ""
    )
    if not encryption.work:
        yield (
            f"WARNING: the tables under {run.store.location('work')} hold texts and tokens that are not encrypted; set "
            "storage.encryption.work to true before a run, or remove them once nobody asks or goes on "
            "(docs/encryption.md)"
        )


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"


def _duration(run: RunRecords, text_bytes: int) -> str:
    observed = run.observed
    computed = sum(stage.units - stage.reused for stage in observed.stages)
    whole = all(stage.reused == 0 for stage in observed.stages)
    seconds = max(observed.seconds, 1e-9)
    rate = f"{_size(round(text_bytes / seconds))}/s of text, " if whole else f"{computed:,} units computed, "
    begun = f" ({observed.start_seconds:,.1f} s of it waiting for Ray)" if observed.start_seconds >= 0.1 else ""
    by = f" by {observed.executor}" if observed.executor else ""
    peak = max((stage.peak_memory_mb for stage in observed.stages), default=0.0)
    return f"{observed.seconds:,.1f} s{begun}{by}, {rate}peak memory of a worker {peak:,.0f} MB"


def _boilerplate(run: RunRecords) -> Iterator[RenderableType]:
    """Where lines were removed: how much by source, and the most frequent of them."""
    removed = removed_lines(run)
    if not removed:
        return
    columns = ["lines", "characters", "bytes", "documents", "emptied"]
    table = table_of(["source"], columns, "boilerplate lines removed")
    for source, numbers in removed.items():
        share = f"{numbers['bytes'] / max(1, numbers['bytes_read']):.2%}"
        counts = [f"{numbers[name]:,}" for name in ("lines", "characters", "documents", "emptied")]
        if numbers["lines"]:
            add_names(table, source, counts[0], counts[1], share, *counts[2:])
    yield table
    if not run.is_encrypted:
        first = listed_lines(run.store, run.of("boilerplate_set"), run.of("measure"), first=10)
        yield lines_table(first, 60, "the most frequent of them, source by source")
    different = run.total("boilerplate_set", "lines")
    yield f"{different:,} different lines; to judge them: winnow lines {run.config.run}"


def _labels(run: RunRecords) -> Iterator[RenderableType]:
    """Where documents have labels: rows of each by split, and what may be wrong with them."""
    if run.labels is None:
        return
    by_split = {name: documents_by_label(run, name) for name in run.config.shards.split_names}
    yield labels_table(run.labels.names, by_split)
    yield from (f"WARNING: {line}" for line in missing_labels(run.labels.names, by_split))
    removed, conflicts = run.total("keepers", "removed"), run.total("keepers", "label_conflicts")
    if conflicts:
        yield (
            f"labels: {conflicts:,} of {removed:,} removed duplicates carried another label than their keeper; "
            "`winnow why ID` shows both labels"
        )


def _stages(summaries: Sequence[StageSummary]) -> Table:
    table = table_of(["stage"], ["units", "reused", "seconds", "MB/s", "CPU s", "written MB"], "stages")
    for summary in summaries:
        if not summary.units:
            continue
        rate = summary.work_bytes / summary.seconds / 1e6 if summary.seconds and summary.units > summary.reused else 0
        table.add_row(
            summary.name,
            f"{summary.units:,}",
            f"{summary.reused:,}",
            f"{summary.seconds:,.1f}",
            f"{rate:,.1f}" if rate else "",
            f"{summary.cpu_seconds:,.1f}",
            f"{summary.output_bytes / 1e6:,.1f}",
        )
    return table


def _splits(run: RunRecords) -> Table:
    columns = ["documents", "tokens", "rows", "fill", "shards", "MB"]
    table = table_of(["split"], columns, f"shards, row: {run.config.shards.row}")
    for number, (name, books) in enumerate(row_accounting(run).items()):
        sections = run.config.shards.sections_of(number)
        records = [record for record in run.of("shards") if record.metadata["split"] in sections]
        held = books["row_tokens"] + books["padding_tokens"]
        documents, tokens = (run.total("shuffle", f"{what}/{name}") for what in ("documents", "tokens"))
        table.add_row(
            name,
            f"{documents:,}",
            f"{tokens:,}",
            f"{books['rows']:,}",
            f"{books['row_tokens'] / held:.3%}" if held else "",
            f"{len(records):,}",
            f"{sum(o.bytes for record in records for o in record.outputs.values()) / 1e6:,.1f}",
        )
    return table
