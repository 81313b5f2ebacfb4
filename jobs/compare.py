"""``winnow compare``: what changed between two runs, or two nights."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .counts import shown_tokens
from .exit_codes import REFUSED, leave, true_exit_codes
from .paths import settled

if TYPE_CHECKING:
    from winnow.looking.compare.compare import Comparison, Group

SAME, DIFFERS = 0, 1
SHOWN = 20
"""Rows of a table."""

Then = Annotated[str, typer.Argument(metavar="RUN", callback=settled, help="The earlier run's folder.")]
Now = Annotated[str, typer.Argument(metavar="RUN", callback=settled, help="The later run's folder.")]


def compare(
    then: Then,
    now: Now,
    sample: Annotated[
        int, typer.Option(min=0, max=1000, help="Examples of each kind of change, the same ones each time.")
    ] = 0,
    text: Annotated[int, typer.Option("--text", min=0, help="Characters of each text to show.")] = 120,
    as_json: Annotated[bool, typer.Option("--json", help="All of it, as one JSON object.")] = False,
) -> None:
    """Tell what changed from one run to another: settings, outcomes of documents, tokens, shares and splits.

    Documents are joined by source and id. Exit code 0: nothing changed. 1: something did. 2: they cannot be compared.
    """
    with true_exit_codes(failed=REFUSED):
        from winnow.looking.compare.compare import compare_runs
        from winnow.runs.state import load_run

        found = compare_runs(load_run(then), load_run(now), sample, text)
        _print_json(found) if as_json else _show(found)
        leave(DIFFERS if found.differs else SAME)


def _print_json(found: "Comparison") -> None:
    from dataclasses import asdict

    import orjson

    settings = [changed._asdict() for changed in found.settings]
    print(orjson.dumps({"differs": found.differs} | asdict(found) | {"settings": settings}).decode())


def _show(found: "Comparison") -> None:
    _say(f"then: {found.then.run}", f"now:  {found.now.run}")
    _settings(found)
    files, alone = found.files, [sum(side.values()) for side in (found.only_then, found.only_now)]
    _say(
        f"input files: {files['both']:,} in both ({files['changed']:,} of them changed), {files['only_then']:,} only "
        f"then, {files['only_now']:,} only now",
        f"documents: {found.both:,} in both, {alone[0]:,} only then, {alone[1]:,} only now"
        + ("" if found.both else " (the same document is one of the same source with the same id)"),
    )
    _outcomes(found)
    lost, gained = sum(found.lost.values()), sum(found.gained.values())
    _reasons(f"{lost:,} documents were kept then and are not now", "why not now", found.lost)
    _reasons(f"{gained:,} documents are kept now and were not then", "why not then", found.gained)
    for what, groups in (("source", found.by_source), ("language", found.by_language)):
        rows = [[name, f"{-moved['lost']:,}", f"{moved['gained']:+,}"] for name, moved in groups.items()]
        _table([what, "kept no more", "kept now"], rows, f"{what}s")
    told = {
        "other_rule": "documents were dropped for another rule than before",
        "copies": "kept documents enter an epoch another number of times",
        "lengths": "documents have a text of another length",
    }
    for name, words in told.items():
        if number := getattr(found, name):
            _say(f"{number:,} {words}")
    for a, to in found.splits.items():
        _say(*(f"{number:,} kept documents went from split {a} to {b}" for b, number in to.items()))
    _groups("source", found.then.sources, found.now.sources)
    _groups("language", found.then.languages, found.now.languages)
    _tokens(found)
    _examples(found)
    if not found.differs:
        _say("nothing changed")


def _settings(found: "Comparison") -> None:
    from winnow.report.printable import printable

    if found.settings:
        print("settings that changed:")
    for name, then, now in found.settings:
        print(printable(f"  {name}: {_value(then)} -> {_value(now)}", lines=False))


def _value(value: object) -> str:
    import orjson

    if isinstance(value, dict):  # a section that one run lacks: what is not set tells nothing
        value = {name: inner for name, inner in value.items() if inner is not False and inner not in (None, "", [], {})}
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def _outcomes(found: "Comparison") -> None:
    rows = []
    for name in dict.fromkeys([*found.then.outcomes, *found.now.outcomes]):
        then, now = found.then.outcomes.get(name, 0), found.now.outcomes.get(name, 0)
        rows.append([name, f"{then:,}", f"{now:,}", f"{now - then:+,}"])
    _table(["outcome", "then", "now", "change"], rows, "outcomes")


def _reasons(title: str, column: str, reasons: dict[str, int]) -> None:
    if reasons:
        _say(title)
        _table([column, "documents"], [[name, f"{number:,}"] for name, number in reasons.items()], "reasons")


def _groups(what: str, then: "dict[str, Group]", now: "dict[str, Group]") -> None:
    from winnow.looking.compare.compare import Group

    rows = []
    names = sorted({**then, **now}, key=lambda name: (-max(g.get(name, Group()).tokens for g in (then, now)), name))
    for name in names:
        a, b = then.get(name, Group()), now.get(name, Group())
        if a != b:
            rows.append([name, f"{a.kept:,}", f"{b.kept:,}", f"{shown_tokens(a.tokens)}", f"{shown_tokens(b.tokens)}"])
            rows[-1] += [f"{a.share:.1%}", f"{b.share:.1%}"]
    about = "tokens" if what == "source" else "tokens, about"
    _table([what, "kept then", "now", f"{about} then", "now", "share then", "now"], rows, f"{what}s that changed")


def _tokens(found: "Comparison") -> None:
    rows = []
    for name in dict.fromkeys([*found.then.splits, *found.now.splits]):
        then, now = (side.splits.get(name, {"documents": 0, "tokens": 0}) for side in (found.then, found.now))
        if then != now:
            numbers = (then["documents"], now["documents"], then["tokens"], now["tokens"])
            rows.append([name, *(f"{number:,}" for number in numbers)])
    _table(["split", "documents then", "now", "tokens then", "now"], rows, "splits")
    change = f" ({found.now.tokens / found.then.tokens - 1:+.2%})" if found.then.tokens else ""
    _say(f"tokens in the shards: {found.then.tokens:,} then, {found.now.tokens:,} now{change}")


_KINDS = {
    "lost": "kept then, not now",
    "gained": "kept now, not then",
    "other_rule": "dropped by another rule",
    "split": "kept in another split",
    "only_then": "only then",
    "only_now": "only now",
}


def _examples(found: "Comparison") -> None:
    for kind, examples in found.examples.items():
        _say(f"{_KINDS[kind]}, such as:")
        for one in examples:
            fates = "; ".join(f"{when}: {_fate(one[when])}" for when in ("then", "now"))
            beginning = " ".join(one["text"].split())
            _say(f"  {one['id']}  {one['source']}  {one['language'] or '-'}  {fates}", f"      {beginning}")


def _fate(fate: dict[str, Any] | None) -> str:
    if fate is None:
        return "not there"
    told: str = fate["outcome"] + (f" ({fate['split']})" if fate["split"] else "")
    if fate["rule"] is not None and fate["value"] is not None:
        told += f", {fate['rule']}: {fate['value']:.6g} (threshold {fate['threshold']:.6g})"
    if fate["keeper"] is not None:
        told += f", kept instead: document {fate['keeper']}"
    return told


def _table(columns: list[str], rows: list[list[str]], what: str) -> None:
    """The first rows; the others are counted."""
    from rich.console import Console

    from winnow.report.tables import add_names, table_of

    if not rows:
        return
    table = table_of(columns[:1], columns[1:])
    for row in rows[:SHOWN]:
        add_names(table, *row)
    Console(markup=False, highlight=False).print(table)
    if len(rows) > SHOWN:
        _say(f"and {len(rows) - SHOWN:,} more {what}: --json has all")


def _say(*lines: str) -> None:
    from winnow.report.printable import printable

    for line in lines:
        print(printable(line, lines=False))


if __name__ == "__main__":
    typer.run(compare)
