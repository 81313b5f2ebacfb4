"""``winnow why``: one document's story."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from winnow.report.printable import printable

from .exit_codes import REFUSED, true_exit_codes
from .paths import settled

if TYPE_CHECKING:
    from winnow.finished.story import Evidence, Story

RunFolder = Annotated[
    str, typer.Argument(metavar="RUN", callback=settled, help="The run folder (`run` in the config).")
]


def why(
    name: Annotated[
        str,
        typer.Argument(metavar="ID", help="The document's id, its number, or an input file: what of it is unreadable."),
    ],
    run: RunFolder,
    text: Annotated[int, typer.Option(help="Characters of the text to show.")] = 300,
    number: Annotated[
        bool, typer.Option("--number", help="ID is a document's number, also where another one has it as its id.")
    ] = False,
) -> None:
    """Tell what happened to one document: source and row, failed rules, keeper and similarity, split and shards."""
    with true_exit_codes():
        from winnow.finished.explain import explain, files_named, find, unreadable
        from winnow.runs.folder import run_folders
        from winnow.runs.state import load_run

        for folder in run_folders(run):  # of a corpus the latest run that knows of it
            finished = load_run(folder)
            found, lost = find(finished, name, by_number=number), unreadable(finished, name, by_number=number)
            if found or lost:
                break
        if folder != run and (found or lost):
            print(printable(f"run        {folder}", lines=False))
        for place, doc in enumerate(found):
            if place:
                print()
            tell(explain(finished, doc), text)
        for record in lost:
            row = "rest of the file" if record.row is None else f"row {record.row}"
            row += f" ({record.id})" if record.id and record.id != name else ""
            print(printable(f"unreadable: {record.path}, {row}, byte {record.position:,}: {record.reason}"))
        others = [doc for doc in find(finished, name, by_number=True) if doc not in found]
        if found and others:
            print(printable(f"winnow: this is the id {name}; --number tells of the document with that number"))
        read = [] if found or lost else files_named(finished, name)
        for path in read:
            print(printable(f"{path}: a file of this run, of which nothing is unreadable; give a document's id"))
        if not (found or lost or read):
            print(
                printable(
                    f"winnow: no document or unreadable record {name!r} in {run}; ids are exact and case-sensitive"
                )
            )
            sys.exit(REFUSED)


def tell(story: "Story", characters: int) -> None:
    """Print a story; text from the corpus is shown with its control characters escaped."""
    from winnow import schemas
    from winnow.finished.story import LostDocument, Story
    from winnow.flow.flow import REASONS

    lines = [
        f"document   {story.id}  (number {story.doc})",
        f"source     {story.source}: {story.path}, row {story.row}",
        f"outcome    {story.outcome}",
    ]
    lines[2:2] = [f"field      {name}: {value[:characters]}" for name, value in story.kept_fields]
    if story.label is not None:
        lines.insert(2, f"label      {story.label}")
    if story.removed_lines:
        what = f"{story.removed_lines:,} boilerplate lines ({story.removed_characters:,} characters) removed"
        lines.append(f"lines      {what}; `winnow lines` lists them")
    lines += [
        f"lines      {number:,} removed by line rule {rule} ({size:,} bytes)"
        for rule, number, size in story.removed_by_rule
    ]
    lines += [f"signal     {name}: {_signal(value)}" for name, value in story.signals]
    lines += [f"rule       {f.rule}: value {f.value:.6g}, threshold {f.threshold:.6g}" for f in story.failed_rules]
    lines += [f"found by   {e.rule}: {_evidence(e)}" for e in story.evidence]
    if story.left_out is not None:
        step, value, limit = story.left_out.rule, story.left_out.value, story.left_out.threshold
        lines.append(f"left out   {step}: {REASONS[step].format(value, limit)}")
    if story.bucket is not None:
        lines.append(f"bucket     {printable(story.bucket, lines=False)}")
    lines += _family(story)
    lines += _held_items(story)
    lines += _passages(story, min(characters, _SHOWN_PASSAGE))
    if story.keeper is not None:
        keeper = story.keeper
        measure = "cosine" if story.outcome == schemas.SEMANTIC_DUPLICATE else "similarity"
        by = {"signatures": " (estimated from signatures)", "texts": " (of the texts)", None: ""}[story.measured_by]
        name = "a document that is no longer in the index" if isinstance(keeper, LostDocument) else keeper.id
        alike = "" if story.similarity is None else f", {measure} {story.similarity:.4f}{by}"
        lines.append(f"keeper     {name}  (number {keeper.doc}){alike}")
        if isinstance(keeper, Story):
            lines.append(f"           {keeper.source}: {keeper.path}, row {keeper.row}")
            if keeper.label != story.label:
                lines.append(f"           its label is {keeper.label}: the two conflict")
        else:
            source = "" if isinstance(keeper, LostDocument) else f"{keeper.source}: "
            lines.append(f"           {source}kept by an earlier run, {keeper.run}")
        if story.outcome == schemas.NEAR_DUPLICATE:
            lines.append(f"lost       {_lost(story)}")
    lines += _refused(story)
    for place in story.places:
        copy = f" (copy {place.copy})" if place.copy else ""
        lines.append(f"went to    split {place.split}{copy}, {_rows(place.rows)}{', '.join(place.shards)}")
    if story.tokens is not None:
        lines.append(f"tokens     {story.tokens:,}")
    for line in lines:
        print(printable(line, lines=False))
    print(f"text       {printable(story.text[:characters], lines=False)}")
    if isinstance(story.keeper, Story):
        print(f"kept text  {printable(story.keeper.text[:characters], lines=False)}")


def _evidence(found: "Evidence") -> str:
    if found.entry is None:
        return "nothing is said"
    return f"{found.entry!r}" if found.list is None else f"{found.entry!r} of list {found.list}"


def _family(story: "Story") -> list[str]:
    """The document that this one was made of, and texts that were made of it."""
    family = story.family
    lines = []
    if family.is_synthetic:
        parent = family.parent
        told = "a document that this run has not read"
        lines.append(
            f"made of    {told if parent is None else f'{parent.id}  (number {parent.doc}), {parent.outcome}'}"
        )
    lines += [f"made of it {child.id}  (number {child.doc}), {child.outcome}" for child in family.children]
    if family.number_of_children > len(family.children):
        lines.append(f"           and {family.number_of_children - len(family.children):,} more texts")
    return lines


_SHOWN_ITEMS, _SHOWN_QUESTION = 5, 100


def _held_items(story: "Story") -> list[str]:
    """Evaluation items that the document holds: which, how much of each, and where."""
    lines = []
    for item in story.held_items[:_SHOWN_ITEMS]:
        what = "its question" if item.by == "question" else "its question and answer"
        more = f", the best of {item.places:,} places" if item.places > 1 else ""
        question = printable(item.question, lines=False)
        shown = question[:_SHOWN_QUESTION] + ("..." if len(question) > _SHOWN_QUESTION else "")
        lines += [
            f"holds      {item.set}, {item.file}, line {item.line:,}: {shown}",
            f"           {item.covered:,} of {item.words:,} words of {what}, at bytes {item.begin:,} to {item.end:,} "
            f"of the text{more}",
        ]
    if len(story.held_items) > _SHOWN_ITEMS:
        lines.append(f"           and {len(story.held_items) - _SHOWN_ITEMS:,} more items")
    return lines


_SHOWN_PASSAGES, _SHOWN_PASSAGE = 10, 80


def _passages(story: "Story", characters: int) -> list[str]:
    """Passages that stand in the corpus before: where, and who has them first."""
    lines = []
    from winnow import schemas

    done = "repeats" if story.outcome == schemas.REPEATED else "cut"
    for passage in story.passages[:_SHOWN_PASSAGES]:
        whose = f"{passage.keeper_id}  (number {passage.keeper})"
        if passage.keeper == story.doc:
            whose = "this document"
        elif passage.keeper_outcome != schemas.KEPT:
            whose += f", which is left out: {passage.keeper_outcome}"
        lines += [
            f"{done:<10} {passage.words:,} words, bytes {passage.begin:,} to {passage.end:,} of the stored text, which "
            f"stand first from word {passage.keeper_word:,} of {whose}",
            f"           {' '.join(passage.text[:characters].split())}",
        ]
    if len(story.passages) > _SHOWN_PASSAGES:
        lines.append(f"           and {len(story.passages) - _SHOWN_PASSAGES:,} more passages")
    return lines


_REFUSED = {
    "script": "it is in another script",
    "language": "it is in another language",
    "shorter": "it is shorter",
    "containment": "it holds too little of what this one says",
    "template": "the two are pages of one template with other data",
}


def _lost(story: "Story") -> str:
    """What of a document its keeper, or the one refused, lacks."""
    if story.containment is None:
        return "not known: no guard looked at this removal"
    held = f"the kept text holds {story.containment:.4f} of its word 3-grams"
    return f"{story.lost_ngrams:,} word 3-grams: {held}" if story.lost_ngrams else f"nothing: {held}"


def _refused(story: "Story") -> list[str]:
    """Why the document stayed, or went for another, though a better-ranked one reaches the threshold."""
    other = story.guard_keeper
    if story.guard is None or other is None:
        return []
    name = getattr(other, "id", "a document that is no longer in the index")
    which = f"{name}  (number {other.doc})"
    line = f"guard      not removed for {which}: {_REFUSED.get(story.guard, story.guard)} (dedup.guard)"
    if story.keeper is not None or story.similarity is None:
        return [line]
    return [line, f"           similarity {story.similarity:.4f}; it would lose {_lost(story)}"]


def _signal(value: float | bool | None) -> str:
    if value is None:
        return "no value"
    return ("keeps it" if value else "refuses it") if isinstance(value, bool) else f"{value:.6g}"


def _rows(rows: Sequence[int]) -> str:
    """``row 7, `` or ``rows 7 to 9, `` or ``rows 3; 8; 12 and 40 more, ``."""
    if not rows:
        return "no row: it is too short or too long for this kind of row"
    if len(rows) == 1:
        return f"row {rows[0]:,}, "
    if rows[-1] - rows[0] == len(rows) - 1:
        return f"rows {rows[0]:,} to {rows[-1]:,}, "
    more = f" and {len(rows) - 8:,} more" if len(rows) > 8 else ""
    return f"rows {'; '.join(f'{row:,}' for row in rows[:8])}{more}, "


if __name__ == "__main__":
    typer.run(why)
