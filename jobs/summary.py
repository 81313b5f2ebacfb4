"""The table at the end of a run."""

from collections.abc import Callable

from rich.console import Console
from rich.table import Table
from winnow import schemas
from winnow.engine.engine import StageSummary
from winnow.engine.records import total, totals_under
from winnow.flow.context import RunContext
from winnow.flow.labels import documents_by_label
from winnow.flow.mixture import left_out_of_mixture, mixture_of
from winnow.report.manifest import removed_lines, shards_folder
from winnow.report.row_accounting import row_accounting
from winnow.report.unreadable import unreadable_summary
from winnow.stages.ingest.boilerplate import listed_lines

from .exit_codes import printable
from .labels import labels_table, missing_labels
from .lines import lines_table
from .select_summary import selection_lines

_ROW_LOSSES = {
    "split_documents": "documents stand in several rows",
    "truncated_documents": "documents lost a part",
    "dropped_documents": "documents are in no row",
    "dropped_tokens": "tokens dropped",
    "repeated_tokens": "tokens repeated",
}


def print_summary(context: RunContext, seconds: float, console: Console) -> None:
    """Documents and bytes in, every outcome with its share, stages, tokens, shards, and where everything is."""
    outcomes = totals_under(context.ledger, "outcome")
    outcomes[schemas.UNREADABLE] = sum(totals_under(context.measured, "unreadable").values())
    records = sum(outcomes.values())
    text_bytes = total(context.measured, "text_bytes")
    files = len(context.files)
    stored = sum(file.bytes for file in context.files)

    def say(line: str) -> None:  # not wrapped, so that it can be searched for and copied
        console.print(line, soft_wrap=True, markup=False, highlight=False)

    say("")
    say(f"{records:,} records from {files:,} files: {stored / 1e6:,.1f} MB stored, {text_bytes / 1e6:,.1f} MB of text")
    console.print(_outcomes(context, outcomes, records))
    for line in unreadable_summary(context.engine.store, context.measured):
        say(f"unreadable: {printable(line, lines=False)}")
    rules = totals_under(context.filtered, "failed")
    if rules:
        top = sorted(rules.items(), key=lambda item: (-item[1], item[0]))[:6]
        say("rules failed most, in documents: " + ", ".join(f"{name} {number:,}" for name, number in top))
    _boilerplate(context, console, say)
    _index(context, say)
    for line in selection_lines(context):
        say(line)
    console.print(_stages(context.engine.summaries))
    for source, gave in mixture_of(context).items():
        say(
            f"mixture: {source} gave {gave['tokens']:,} tokens ({gave['share']:.2%} of train), {gave['epochs']:.2f} "
            f"times its text, from {gave['documents']:,} documents"
        )
    for source, share in left_out_of_mixture(context).items():
        say(
            f"WARNING: shards.mixture asks for {share:g} of source {printable(source)}, but none of its documents is "
            "in train: its budget is less than its first document has; raise its share or shards.max_tokens"
        )
    console.print(_splits(context))
    _labels(context, console, say)
    for name, books in row_accounting(context).items():
        told = [f"{books[loss]:,} {what}" for loss, what in _ROW_LOSSES.items() if books[loss]]
        if told:
            say(f"rows of {name}: {', '.join(told)}")
    checked, mismatches = total(context.tokenised, "checked"), total(context.tokenised, "mismatches")
    say(f"signatures checked against datasketch on {total(context.measured, 'signatures_checked'):,} documents")
    say(
        f"tokeniser checked against its reference on {checked:,} documents: {mismatches:,} differences; the books close"
    )
    computed = sum(summary.units - summary.reused for summary in context.engine.summaries)
    whole = all(summary.reused == 0 for summary in context.engine.summaries)
    rate = f"{text_bytes / seconds / 1e6:,.1f} MB/s of text, " if whole else f"{computed:,} units computed, "
    start = context.engine.start_seconds
    begun = f" ({start:,.1f} s of it waiting for Ray)" if start >= 0.1 else ""
    say(f"{seconds:,.1f} s{begun}, {rate}peak memory of a worker {_peak(context):,.0f} MB")
    for warning in context.config.warnings:
        say(f"WARNING: {warning}")
    for alarm in context.alarms:
        say(printable(f"ALARM: {alarm}", lines=False))
    if records and not any(record.metadata["split"] == 0 for record in context.sharded):
        say("ALARM: no document is left for the split train, so there are no shards of it")
    say(f"shards and manifest: {context.engine.store.location(shards_folder(context))}")
    say(
        f"why was a document dropped: winnow why ID {context.config.run}; check all: winnow verify {context.config.run}"
    )


def _index(context: RunContext, say: Callable[[str], None]) -> None:
    joined = context.index
    if joined is None:
        return
    if joined.skipped:
        say(f"{len(joined.skipped):,} input files were taken by earlier runs of the index: not read again")
    if not context.files:
        say("nothing is new: no file that the index does not hold; nothing was added to it")
        return
    repeated = total(context.clustered, "removed_for_index")
    say(
        f"index {joined.index.path}: compared with {joined.documents:,} kept documents of {len(joined.pin.segments):,} "
        f"earlier runs, {repeated:,} documents removed for them; this run is segment {joined.pin.segment}"
    )


def _peak(context: RunContext) -> float:
    return max((summary.peak_memory_mb for summary in context.engine.summaries), default=0.0)


def _outcomes(context: RunContext, outcomes: dict[str, int], records: int) -> Table:
    table = Table("outcome", title="outcomes", title_justify="left")
    table.add_column("documents", justify="right")
    table.add_column("share", justify="right")
    sources = [source.name for source in context.config.sources]
    shown = sources if 1 < len(sources) <= 4 else []
    for name in shown:
        table.add_column(name, justify="right")
    unreadable = totals_under(context.measured, "unreadable")
    by_source = {
        name: {**totals_under(context.ledger, f"source/{name}"), schemas.UNREADABLE: unreadable.get(name, 0)}
        for name in shown
    }
    for outcome in schemas.OUTCOMES:
        number = outcomes.get(outcome, 0)
        if number:
            share = f"{number / records:.2%}"
            table.add_row(outcome, f"{number:,}", share, *(f"{by_source[n].get(outcome, 0):,}" for n in shown))
    table.add_section()
    table.add_row("records in", f"{records:,}", "", *(f"{sum(by_source[n].values()):,}" for n in shown))
    return table


def _boilerplate(context: RunContext, console: Console, say: Callable[[str], None]) -> None:
    """Where lines were removed: how much by source, and the most frequent of them."""
    removed = removed_lines(context)
    if not removed:
        return
    table = Table("source", title="boilerplate lines removed", title_justify="left")
    for column in ("lines", "characters", "bytes", "documents", "emptied"):
        table.add_column(column, justify="right")
    for source, numbers in removed.items():
        share = f"{numbers['bytes'] / max(1, numbers['bytes_read']):.2%}"
        counts = [f"{numbers[name]:,}" for name in ("lines", "characters", "documents", "emptied")]
        if numbers["lines"]:
            table.add_row(source, counts[0], counts[1], share, *counts[2:])
    console.print(table)
    first = listed_lines(context.engine.store, context.boilerplate, context.measured, first=10)
    console.print(lines_table(first, 60, "the most frequent of them, source by source"))
    different = total(context.boilerplate, "lines")
    say(f"{different:,} different lines; to judge them: winnow lines {context.config.run}")


def _labels(context: RunContext, console: Console, say: Callable[[str], None]) -> None:
    """Where documents have labels: rows of each by split, and what may be wrong with them."""
    if context.labels is None:
        return
    by_split = {name: documents_by_label(context, name) for name in context.config.shards.split_names}
    console.print(labels_table(context.labels.names, by_split))
    for line in missing_labels(context.labels.names, by_split):
        say(f"WARNING: {line}")
    removed, conflicts = total(context.clustered, "removed"), total(context.clustered, "label_conflicts")
    if conflicts:
        say(
            f"labels: {conflicts:,} of {removed:,} removed duplicates carried another label than their keeper; "
            "`winnow why ID` shows both labels"
        )


def _stages(summaries: list[StageSummary]) -> Table:
    table = Table("stage", title="stages", title_justify="left")
    for column in ("units", "reused", "seconds", "MB/s", "CPU s", "written MB"):
        table.add_column(column, justify="right")
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


def _splits(context: RunContext) -> Table:
    table = Table("split", title=f"shards, row: {context.config.shards.row}", title_justify="left")
    for column in ("documents", "tokens", "rows", "fill", "shards", "MB"):
        table.add_column(column, justify="right")
    for number, (name, books) in enumerate(row_accounting(context).items()):
        records = [record for record in context.sharded if record.metadata["split"] == number]
        held = books["row_tokens"] + books["padding_tokens"]
        table.add_row(
            name,
            f"{total(context.shuffled, f'documents/{name}'):,}",
            f"{total(context.shuffled, f'tokens/{name}'):,}",
            f"{books['rows']:,}",
            f"{books['row_tokens'] / held:.3%}" if held else "",
            f"{len(records):,}",
            f"{sum(o.bytes for record in records for o in record.outputs.values()) / 1e6:,.1f}",
        )
    return table
