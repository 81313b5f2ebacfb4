"""``winnow dropped`` and ``winnow kept``: documents of a finished run by outcome, rule, source and language."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .exit_codes import true_exit_codes
from .why import RunFolder

if TYPE_CHECKING:
    from winnow.looking.list_documents import Listed, Order, Wanted

Rule = Annotated[str | None, typer.Option(help="Documents that failed this rule, alone or with others.")]
Sources = Annotated[list[str] | None, typer.Option("--source", help="Of this source only. May be repeated.")]
Languages = Annotated[list[str] | None, typer.Option("--language", help="Found in this language. May be repeated.")]
First = Annotated[int, typer.Option(min=1, max=100_000, help="Documents to list.")]
Sample = Annotated[
    int | None,
    typer.Option(min=1, max=100_000, help="List so many drawn at random, the same ones each time, not the first."),
]
Near = Annotated[bool, typer.Option("--near-threshold", help="Those nearest to the threshold, nearest first.")]
Characters = Annotated[int, typer.Option("--text", min=0, help="Characters of each text to show.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for other programs.")]


def dropped(
    run: RunFolder,
    rule: Rule = None,
    outcome: Annotated[
        str | None, typer.Option(help="With this outcome only, such as near_duplicate; `unreadable` lists records.")
    ] = None,
    source: Sources = None,
    language: Languages = None,
    near_threshold: Near = False,
    first: First = 20,
    sample: Sample = None,
    text: Characters = 120,
    as_json: AsJson = False,
) -> None:
    """List documents that were not kept: id, outcome, rule with value and threshold, and the text's beginning."""
    with true_exit_codes():
        if outcome == "unreadable":
            if rule or language or near_threshold or sample:
                from winnow.errors import ConfigError

                raise ConfigError(
                    "--outcome unreadable: records that were never read have no rule, language or order; "
                    "give --source and --first alone"
                )
            _unreadable(run, source, first, as_json)
            return
        from winnow.looking.list_documents import Wanted

        wanted = Wanted(False, outcome, rule, tuple(source or ()), tuple(language or ()))
        _list(run, wanted, near_threshold, first, sample, text, as_json)


def kept(
    run: RunFolder,
    rule: Annotated[
        str | None, typer.Option(help="Documents that this rule was asked of, each with its value and threshold.")
    ] = None,
    source: Sources = None,
    language: Languages = None,
    near_threshold: Near = False,
    first: First = 20,
    sample: Sample = None,
    text: Characters = 120,
    as_json: AsJson = False,
) -> None:
    """List documents that were kept; with a rule and --near-threshold, those that it nearly dropped."""
    with true_exit_codes():
        from winnow.looking.list_documents import Wanted

        wanted = Wanted(True, None, rule, tuple(source or ()), tuple(language or ()))
        _list(run, wanted, near_threshold, first, sample, text, as_json)


def _list(
    folder: str, wanted: "Wanted", near: bool, first: int, sample: int | None, characters: int, as_json: bool
) -> None:
    from winnow.errors import ConfigError
    from winnow.looking.list_documents import list_documents
    from winnow.report.printable import printable
    from winnow.runs.folder import latest_run
    from winnow.runs.state import load_run

    if near and sample is not None:
        raise ConfigError("--near-threshold and --sample: give one of them; --first says how many are listed")
    order: Order = "near" if near else "sample" if sample is not None else "input"
    listing = list_documents(load_run(latest_run(folder)), wanted, order, sample or first, characters)
    for document in listing.documents:
        print(_json_line(document) if as_json else printable(_lines(document)))
    which = "kept" if wanted.kept else "dropped"
    _tell(f"{listing.found:,} {which} documents match; " + _shown(order, len(listing.documents), listing.found))


def _shown(order: "Order", listed: int, found: int) -> str:
    """How many of what was found are listed, and how to see more."""
    if listed == found:
        return "all are listed"
    how = {"near": f"the {listed:,} nearest to the threshold", "sample": f"a random sample of {listed:,}"}
    option = "--sample" if order == "sample" else "--first"
    return f"listed: {how.get(order, f'the first {listed:,}')} ({option} N lists more)"


def _lines(document: "Listed") -> str:
    """Two lines: what became of the document, and how it begins."""
    from winnow.schemas import REPEATED

    parts = [f"{document.id}  {document.source}  {document.language or '-'}  {document.outcome}"]
    if document.rule is not None and document.value is not None:
        parts.append(f"{document.rule}: {document.value:.6g} (threshold {document.threshold:.6g})")
    if document.more_rules:
        parts.append(f"and {document.more_rules} more rule{'s' * (document.more_rules > 1)}")
    if document.keeper is not None:
        measured = "" if document.similarity is None else f", similarity {document.similarity:.4f}"
        told = "has most of it" if document.outcome == REPEATED else "kept instead"
        parts.append(f"{told}: document {document.keeper}{measured}")
    beginning = " ".join(document.text.split())
    return ", ".join(parts).replace("\n", " ") + (f"\n    {beginning}" if beginning else "")


def _json_line(document: "Listed") -> str:
    from dataclasses import asdict

    import orjson

    return orjson.dumps(asdict(document)).decode()


def _unreadable(folder: str, sources: list[str] | None, first: int, as_json: bool) -> None:
    import orjson

    from winnow.looking.unreadable import unreadable_records
    from winnow.report.printable import printable
    from winnow.runs.folder import latest_run
    from winnow.runs.state import load_run

    found = shown = 0
    for record in unreadable_records(load_run(latest_run(folder)), tuple(sources or ())):
        found += 1
        if shown < first:
            shown += 1
            row = "rest of the file" if record["row"] is None else f"row {record['row']}"
            told = f"{record['path']}  {record['source']}  {row}, byte {record['position']:,}: {record['reason']}"
            print(orjson.dumps(record).decode() if as_json else printable(told, lines=False))
    _tell(f"{found:,} unreadable records match; " + _shown("input", shown, found))


def _tell(line: str) -> None:
    """On stderr, so that what is listed can be piped."""
    sys.stdout.flush()
    print(line, file=sys.stderr)
