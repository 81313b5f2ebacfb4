"""``winnow audit``: what a run's deduplication and splits are worth, measured against exact search."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from winnow.report.printable import printable

from .counts import count
from .exit_codes import FAILED, true_exit_codes
from .paths import settled
from .why import RunFolder

if TYPE_CHECKING:
    from winnow.audit.tables import TableOf
    from winnow.flow.records import RunRecords
    from winnow.storage.config import StorageConfig

Measured = TypeVar("Measured")
audit = typer.Typer(
    help="Measure a finished run against exact search: what dedup found and missed, what splits still share.",
    no_args_is_help=True,
)

JsonFile = Annotated[
    str | None, typer.Option("--json", metavar="FILE", callback=settled, help="Write all figures as JSON.")
]
HtmlFile = Annotated[
    str | None,
    typer.Option(
        "--html",
        metavar="FILE",
        callback=settled,
        help="Where to write the page; in RUN unless given: audit/, and the command's name.",
    ),
]
Shown = Annotated[int, typer.Option(min=1, help="Characters of each text shown in the HTML file.")]
_SHOWN_ROWS = 20


@audit.command()
def dedup(
    run: RunFolder,
    documents: Annotated[
        int,
        typer.Option(
            parser=count(),
            metavar="COUNT",
            help="Documents compared exactly with the whole corpus; 20,000 take about 1 GB.",
        ),
    ] = 20_000,
    removed: Annotated[
        int, typer.Option(parser=count(), metavar="COUNT", help="Removed documents compared with their keepers.")
    ] = 10_000,
    planted: Annotated[
        int, typer.Option(parser=count(0), metavar="COUNT", help="Documents to plant edited copies of.")
    ] = 1_000,
    clusters: Annotated[int, typer.Option(min=0, help="Largest clusters to show.")] = 20,
    worst: Annotated[int, typer.Option(min=0, help="Removals that lost most to show.")] = 20,
    characters: Shown = 600,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another sample.")] = 1,
    json_file: JsonFile = None,
    html_file: HtmlFile = None,
) -> None:
    """Precision, recall, what removals lost, chance to meet, planted near-duplicates and the largest clusters of a run.

    Exit code 1: a removed document has no kept one at verified similarity >= threshold, or lost more than dedup.guard
    allows. Reads the run's text twice.
    """
    with true_exit_codes():
        from winnow.audit.dedup import SampleSizes, audit_dedup
        from winnow.audit.page import dedup_page
        from winnow.audit.tables import dedup_tables, headline
        from winnow.runs.state import load_run

        finished = load_run(run)
        _can_write(finished.config.storage, json_file, html_file)
        sizes = SampleSizes(documents, removed, planted, clusters, worst, characters)
        measured = _unless_nothing(lambda: audit_dedup(finished, sizes, seed))
        if measured is None:
            return
        print(headline(measured))
        _tell(dedup_tables(measured))
        for alarm in measured.alarms:
            print(printable(f"ALARM: {alarm}", lines=False))
        _write(measured, json_file, html_file, dedup_page(measured), finished, "audit/dedup.html")
        if not measured.guaranteed:
            sys.exit(FAILED)


@audit.command()
def splits(
    run: RunFolder,
    json_file: JsonFile = None,
    html_file: HtmlFile = None,
) -> None:
    """What the splits of a finished run still share: near-duplicates, and runs of 13 words.

    Every document of the smaller splits is compared exactly with all of the others; with `dedup.index` and --new-only
    also with those of earlier runs whose folders are still there, in both directions. Exit code 1: a pair between two
    splits reaches the run's threshold.
    """
    with true_exit_codes():
        from winnow.audit.page import splits_page
        from winnow.audit.splits import audit_splits
        from winnow.audit.tables import splits_headline, splits_tables
        from winnow.runs.state import load_run

        finished = load_run(run)
        _can_write(finished.config.storage, json_file, html_file)
        measured = audit_splits(finished)
        _tell(splits_tables(measured))
        print(f"\n{splits_headline(measured)}")
        _write(measured, json_file, html_file, splits_page(measured), finished, "audit/splits.html")
        if measured.at_threshold:
            sys.exit(FAILED)


@audit.command()
def passages(
    run: RunFolder,
    most: Annotated[int, typer.Option(min=0, max=1000, help="Passages with most copies to show.")] = 50,
    characters: Shown = 1200,
    json_file: JsonFile = None,
    html_file: HtmlFile = None,
) -> None:
    """The passages of a finished run that stand in it most often, by source and with their texts.

    Exit code 1: a passage that is read again does not stand where the run says.
    """
    with true_exit_codes():
        from winnow.audit.page import passages_page
        from winnow.audit.passages import audit_passages, passages_headline, passages_tables
        from winnow.runs.state import load_run

        finished = load_run(run)
        _can_write(finished.config.storage, json_file, html_file)
        measured = _unless_nothing(lambda: audit_passages(finished, most, characters))
        if measured is None:
            return
        print(passages_headline(measured))
        _tell(passages_tables(measured))
        _write(measured, json_file, html_file, passages_page(measured), finished, "audit/passages.html")
        if not measured.holds:
            sys.exit(FAILED)


@audit.command()
def contamination(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", callback=settled, help="A run folder; or a folder, file or glob of documents of others."
        ),
    ],
    sets: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", callback=settled, help="An evaluation set; again for more. Without: those of the run."
        ),
    ] = None,
    text: Annotated[str, typer.Option(help="Field of the text, in documents of others.")] = "text",
    fail_over: Annotated[
        int | None, typer.Option(min=0, help="End with code 1 where more documents hold an item.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Which items of evaluation sets a finished run, or documents of others, still hold. Writes nothing there."""
    with true_exit_codes():
        import orjson

        from winnow.audit.contamination import (
            ContaminationAudit,
            audit_contamination,
            contamination_tables,
            documents_of_files,
            documents_of_run,
            section_of_sets,
        )
        from winnow.runs.state import load_run
        from winnow.storage.config import StorageConfig

        measured, finished = ContaminationAudit(), load_run(run) if _is_run(run) else None
        storage = StorageConfig() if finished is None else finished.config.storage
        _can_write(storage, json_file)
        section = section_of_sets(sets or [], finished)
        documents = documents_of_files(run, text, measured) if finished is None else documents_of_run(finished)
        audit_contamination(documents, measured, section, storage)
        _tell(contamination_tables(measured))
        if json_file:
            _put(json_file, orjson.dumps(measured, option=orjson.OPT_INDENT_2), storage)
        if fail_over is not None and measured.contaminated > fail_over:
            print(f"\n{measured.contaminated:,} documents hold an item, over --fail-over {fail_over:,}")
            sys.exit(FAILED)


@audit.command()
def groups(
    run: RunFolder,
    terms: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            callback=settled,
            help="Your own terms: CSV or TSV of columns group, term, and maybe category and language. Without: a short "
            "list that comes with Winnow.",
        ),
    ] = None,
    ratio: Annotated[
        float, typer.Option(min=1.0, max=1000.0, help="Over what was to be expected, from which a rule stands out.")
    ] = 1.25,
    note: Annotated[str, typer.Option(help="What was done about it; it stands in the run's report.")] = "",
    json_file: JsonFile = None,
    html_file: HtmlFile = None,
) -> None:
    """Whether rules, dedup or models remove documents that mention some groups of people more than others.

    Compares documents that mention a group with others of the same source, language and length, before and after each
    step. What it finds is added to audit/groups.json in RUN, and `winnow report RUN` shows it. Reads the text once.
    """
    with true_exit_codes():
        from winnow.audit.group_results import summary_of
        from winnow.audit.group_tables import groups_headline, groups_tables
        from winnow.audit.groups import audit_groups, terms_of
        from winnow.audit.page import groups_page
        from winnow.report.group_audits import add_audit, read_audits
        from winnow.runs.state import load_run

        finished = load_run(run)
        _can_write(finished.config.storage, json_file, html_file)
        read_audits(finished)
        name, found = terms_of(terms, finished.config.storage)
        measured = audit_groups(finished, found, name, ratio, note)
        _tell(groups_tables(measured))
        print(f"\n{printable(groups_headline(measured), lines=False)}")
        add_audit(finished, summary_of(measured))
        _write(measured, json_file, html_file, groups_page(measured), finished, "audit/groups.html")


def _unless_nothing(measure: Callable[[], Measured]) -> "Measured | None":
    """What is measured; None where there is nothing to audit, and that is told."""
    from winnow.errors import NothingToAuditError

    try:
        return measure()
    except NothingToAuditError as nothing:
        print(printable(str(nothing), lines=False))
        return None


def _is_run(path: str) -> bool:
    """Whether a path is a run folder: where it is one of documents, it is read as a source is."""
    from winnow.runs.folder import CONFIG, STATE
    from winnow.storage.address import is_url
    from winnow.storage.open_store import open_store

    if not is_url(path) and not Path(path).is_dir():
        return False
    store = open_store(path)
    return store.exists(STATE) or store.exists(CONFIG)


def _tell(tables: "list[TableOf]") -> None:
    """Print tables; texts from the corpus are shown with their control characters escaped."""
    from rich.table import Table
    from rich.text import Text

    from winnow.report.tables import console_for_tables

    console = console_for_tables()
    for table in tables:
        console.print(f"\n{printable(table.title, lines=False)}", style="bold", soft_wrap=True)
        if table.note:
            console.print(printable(table.note, lines=False), soft_wrap=True)
        if not table.rows:
            continue
        drawn = Table()
        for number, name in enumerate(table.columns):
            drawn.add_column(Text(name), justify="right" if number in table.numbers else "left", overflow="fold")
        for row in table.rows[:_SHOWN_ROWS]:
            drawn.add_row(*(Text(printable(text, lines=False)) for text in row))
        console.print(drawn)
        if len(table.rows) > _SHOWN_ROWS:
            console.print(f"... and {len(table.rows) - _SHOWN_ROWS:,} more in the page and the JSON")


def _can_write(storage: "StorageConfig", *files: str | None) -> None:
    """Make the folders of what is to be written, before minutes of work."""
    from winnow.storage.address import check_lasting, is_url
    from winnow.storage.open_store import open_store

    for file in filter(None, files):
        if is_url(file):
            open_store(file.rpartition("/")[0], storage).list("")  # a bucket that is not there refuses
        else:
            Path(check_lasting(file)).parent.mkdir(parents=True, exist_ok=True)


def _put(file: str, content: bytes, storage: "StorageConfig") -> None:
    """Write a file at a path, which may be a device, or an object at an address."""
    from winnow.storage.address import is_url, last_part
    from winnow.storage.open_store import open_store

    if is_url(file):
        open_store(file.rpartition("/")[0], storage).replace(last_part(file), content)
    else:
        Path(file).write_bytes(content)


def _write(
    measured: object, json_file: str | None, html_file: str | None, page: str, run: "RunRecords", inside: str
) -> None:
    """Write figures and page; the page goes into the run folder where no file is named for it."""
    import orjson

    if json_file:
        _put(json_file, orjson.dumps(measured, option=orjson.OPT_INDENT_2), run.config.storage)
    content = page.encode("utf-8", errors="backslashreplace")
    if html_file:
        _put(html_file, content, run.config.storage)
    else:
        run.store.replace(inside, content)
    print(f"\npage: {printable(html_file or run.store.location(inside), lines=False)}")
