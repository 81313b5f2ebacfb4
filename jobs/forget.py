"""``winnow forget``: documents that somebody wants out leave a finished run, for good, with a proof."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from winnow.report.printable import printable

from .paths import settled
from .why import RunFolder

if TYPE_CHECKING:
    from winnow.finished.forget.forget import Forgotten
    from winnow.finished.forget.search import Found

SHOWN = 20


def forget(
    run: RunFolder,
    ids: Annotated[
        str | None, typer.Option(metavar="FILE", callback=settled, help="Documents with these ids, one a line.")
    ] = None,
    url_prefix: Annotated[
        list[str] | None,
        typer.Option(metavar="PREFIX", help="Those whose address (id or kept field) begins so. May be repeated."),
    ] = None,
    match: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Those that hold this text, letter by letter. May be repeated."),
    ] = None,
    near_duplicates: Annotated[
        bool, typer.Option("--near-duplicates", help="Near-duplicates go, too; exact copies always do.")
    ] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Noted in list and proof, such as a ticket.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would go; nothing is written.")] = False,
    all_documents: Annotated[
        bool, typer.Option("--all-documents", help="Go on where the request leaves no document at all.")
    ] = False,
    delete_old: Annotated[
        bool,
        typer.Option("--delete-old", help="Delete the old shard set and its clean text once the new set is out."),
    ] = False,
    executor: Annotated[
        Literal["auto", "inline", "processes", "ray"] | None,
        typer.Option(help="Where the work is done; as the run had it unless given."),
    ] = None,
) -> None:
    """Make a new shard set of a finished run without some documents, keep them out for good, and write a proof.

    They get the outcome `removed_on_request`. A list of them stays in the run and in its index: no later run takes them
    again, and no duplicate takes their place. RUN may be a corpus that grows: each of its sets that holds some is made
    anew. After an interruption the same command goes on. Exit code 2: the request finds nothing, or everything.
    """
    from winnow.engine.stopping import Stop

    from .exit_codes import OK, leave, log_to_stderr, true_exit_codes

    log_to_stderr()
    stop = Stop()
    with true_exit_codes(), stop.handle_signals():
        from winnow.finished.forget.corpus import forget_in
        from winnow.finished.forget.request import request_of

        request = request_of(ids, url_prefix or [], match or [], near=near_duplicates, reason=reason)
        done = forget_in(
            run,
            request,
            dry_run=dry_run,
            all_documents=all_documents,
            delete_old=delete_old,
            executor=executor,
            stop=stop,
        )
        for folder, told in done:
            for line in _lines(folder, told):
                print(printable(line, lines=False))
    leave(OK)


def _lines(run: str, done: "Forgotten") -> list[str]:
    lines = [f"unknown id: {name}" for name in done.unknown_ids]
    if done.found is not None:
        lines += _of_search(done.found, f"in the set of {run}")
    return [*lines, *done.notes, *(_of_proof(run, done) if done.proof else ["nothing was written (--dry-run)"])]


def _of_search(found: "Found", where: str) -> list[str]:
    """What the request means."""
    from winnow.schemas import KEPT

    lines = [
        f"{document.why}: {document.id} ({document.source}, {document.outcome})" for document in found.documents[:SHOWN]
    ]
    if len(found.documents) > SHOWN:
        lines.append(f"and {len(found.documents) - SHOWN:,} more")
    kept = len(found.of(KEPT))
    lines.append(f"{len(found.documents):,} documents fit, {kept:,} of them {where}; {found.kept_left:,} stay there")
    if found.without_text:
        lines.append(f"{len(found.without_text):,} that hold no text stay as they are, such as {found.without_text[0]}")
    if found.near_kept:
        lines.append(
            f"WARNING: {len(found.near_kept):,} near-duplicates of them stay in the set, such as {found.near_kept[0]}; "
            "--near-duplicates removes them, too"
        )
    if found.near_dropped:
        lines.append(
            f"{found.near_dropped:,} near-duplicates were dropped for them and stay dropped: none takes their place"
        )
    if found.without_addresses:
        lines.append(
            f"WARNING: no address is known of documents of source {', '.join(found.without_addresses)}: --url-prefix "
            "cannot find them; let the source `keep` the field"
        )
    runs = sorted({other["run"] for other in found.elsewhere})
    lines += [f"WARNING: {name} keeps documents that they are duplicates of: give it the request, too" for name in runs]
    return lines


def _of_proof(run: str, done: "Forgotten") -> list[str]:
    """What the new set is, and what was checked."""
    proof, check = done.proof, done.proof["check"]
    lines = [f"new shard set: {run}/{proof['new_set']['folder']}"]
    if "not_checked" in check:
        lines.append(f"WARNING: the shards were not searched: {check['not_checked']}")
    else:
        lines.append(
            f"checked: {check['tokens']:,} tokens of the new shards; passages of {check['words']} words and more of "
            f"what was removed that stand there in other documents: {check['passages']:,}"
        )
    for passage in check["standing"][:3]:
        lines.append(
            f"  {passage['words']:,} words in {passage['shard']}, of document {', '.join(passage['also_in'][:3])}"
        )
    held = proof["still_holds"]
    places = [*held["old_sets"], f"{len(held['tables']):,} tables under work/", f"{len(held['inputs']):,} input files"]
    lines.append(f"the texts still lie in: {', '.join(places)} (docs/forget.md tells how to delete them)")
    return [*lines, f"proof: {run}/forget/{done.number}/proof.json"]


if __name__ == "__main__":
    typer.run(forget)
