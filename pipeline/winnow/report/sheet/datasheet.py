"""``datasheet.md``: the questions of a data sheet, answered as far as a run can know; the others are marked for people.

Source of the questions, which are said here in short: Gebru et al., Datasheets for Datasets, CACM 64 (12), 2021.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from winnow.flow.records import RunRecords
from winnow.report.markdown import markdown_text
from winnow.report.reports import Report
from winnow.report.sheet.facts import OPEN, Facts
from winnow.shards.manifest import columns_of
from winnow.version import winnow_version

Answer = Callable[[Facts], Iterable[str]]


class Question(NamedTuple):
    """One question; what a run knows of it, and whether that is all of the answer."""

    asks: str
    known: Answer | None = None
    whole: bool = True


def _instances(facts: Facts) -> list[str]:
    shards = facts.manifest["shards"]
    row = f"`row: {shards['row']}`, {shards['row_tokens']:,} token ids of type {shards['dtype']}"
    return [f"Texts, as rows of token ids ({row}); one data point is a document, or a stretch of one."]


def _size(facts: Facts) -> list[str]:
    return [f"{facts.documents:,} documents with {facts.tokens:,} tokens.", "", *facts.sources_table()]


def _sample(facts: Facts) -> list[str]:
    read = facts.manifest["books"]["records"]
    taken = [
        f"Of source {markdown_text(name)}, {told['taken']:,} of {told['files']:,} files were taken."
        for name, told in facts.run.found.items()
        if told["taken"] != told["files"]
    ]
    return [f"All {read:,} records of the sources were read; this became of them:", "", *facts.outcomes_table(), *taken]


def _columns(facts: Facts) -> list[str]:
    columns = ", ".join(columns_of(facts.manifest["shards"]))
    return [f"Columns: {markdown_text(columns)}. `docs/formats.md` of Winnow says what each holds."]


def _labels(facts: Facts) -> list[str]:
    labels = facts.run.labels
    return ["No."] if labels is None else [f"Yes, {len(labels.names):,} labels, in the field that the sources name."]


def _missing(facts: Facts) -> list[str]:
    unreadable = facts.outcomes.get("unreadable", 0)
    command = markdown_text(f"winnow dropped {facts.run.config.run} --outcome unreadable")
    lines = [f"{unreadable:,} records could not be read and are not in it ({command})."]
    return [*lines, ""] + [f"- told by the run: {alarm}" for alarm in facts.alarms()]


def _related(facts: Facts) -> list[str]:
    if facts.run.config.dedup is None:
        return ["Not made explicit; duplicates were not looked for."]
    return ["Near-duplicates were removed; others of one group lie in one split. No other relation is made explicit."]


def _splits(facts: Facts) -> list[str]:
    return [*facts.splits_table(), "", "Splits are drawn by a keyed hash of a document's group of near-duplicates."]


def _errors(facts: Facts) -> list[str]:
    return [*(f"- {step}" for step in facts.steps()), *(f"- told by the run: {alarm}" for alarm in facts.alarms())]


def _external(facts: Facts) -> list[str]:
    vocabulary = facts.manifest["vocabulary"]
    return [
        f"It stands alone, but for its vocabulary: {markdown_text(vocabulary['name'])}, {vocabulary['size']:,} ids."
    ]


def _people(facts: Facts) -> list[str]:
    uses = [entry.use for entry in facts.run.config.measure.operators if "pii" in entry.use]
    if not uses:
        return ["No operator looked for personal data."]
    return ["Personal data was looked for by the operator `pii`; its summary says what was replaced."]


def _acquired(facts: Facts) -> list[str]:
    return ["Read from these places:", "", *facts.sources_table()]


def _sampling(facts: Facts) -> list[str]:
    select = facts.run.config.select
    how = (
        "by a keyed hash, to a budget (`select.sample`)" if select and select.sample else "none: all records were read"
    )
    mixture = facts.run.config.shards.mixture
    return [f"Sampling: {how}.", *(["Sources were mixed by the shares of `shards.mixture`."] if mixture else [])]


def _raw(facts: Facts) -> list[str]:
    kept = "and kept documents as clean text in `documents/`" if facts.run.config.documents else "and no others"
    return [f"The run folder holds the normalised text of every readable document under `work/`, {kept}."]


def _software(_facts: Facts) -> list[str]:
    return [f"Winnow {markdown_text(winnow_version())}; the run folder's config.yaml makes it again, byte for byte."]


def _composition(facts: Facts) -> list[str]:
    languages = facts.languages_table()
    return ["Languages of the kept documents:", "", *languages] if languages else []


def _licences(facts: Facts) -> list[str]:
    unknown = [source.name for source in facts.run.config.sources if not source.licence]
    lines = ["Licences of the sources, as the config states them, stand in the table of sources above."]
    if unknown:
        named = ", ".join(map(markdown_text, unknown[:20])) + (
            f" and {len(unknown) - 20:,} more" if unknown[20:] else ""
        )
        lines.append(f"Not stated for: {named}.")
    return lines


SECTIONS: dict[str, tuple[Question, ...]] = {
    "Motivation": (
        Question("For what purpose was it made?"),
        Question("Who made it, and for whom?"),
        Question("Who paid for it?"),
        Question("Anything else?"),
    ),
    "Composition": (
        Question("What is one instance?", _instances),
        Question("How many are there, of which kinds?", _size),
        Question("Is it all there is, or a sample, and what does that stand for?", _sample, whole=False),
        Question("What data does an instance have?", _columns),
        Question("Does it have a label or target?", _labels),
        Question("Is anything missing?", _missing),
        Question("Are relations between instances made explicit?", _related),
        Question("Which splits are recommended, and why?", _splits),
        Question("Which errors, noise or redundancies are there?", _errors),
        Question("Does it rely on anything outside?", _external),
        Question("Does it hold what is confidential?"),
        Question("Does it hold what may offend, insult, threaten or frighten?"),
        Question("Which groups of people does it tell apart, and how are they spread?"),
        Question("Can persons be recognised?", _people, whole=False),
        Question("Does it hold what is sensitive about persons (health, beliefs, money)?", _people, whole=False),
        Question("Anything else?"),
    ),
    "Collection": (
        Question("How was each instance acquired?", _acquired, whole=False),
        Question("By which machines, people or software was it collected, and how was that checked?"),
        Question("If it is a sample, how was it drawn?", _sampling),
        Question("Who collected it, and what were they paid?"),
        Question("Over which time was it collected, and does that fit the time it tells of?"),
        Question("Was there an ethical review?"),
        Question("Was it collected from the persons themselves, or through others?"),
        Question("Were the persons told?"),
        Question("Did they consent, and to what?"),
        Question("How can they take their consent back?"),
        Question("Was the effect on them analysed?"),
        Question("Anything else?"),
    ),
    "Preprocessing, cleaning, labelling": (
        Question("What was done?", lambda facts: [f"- {step}" for step in facts.steps()]),
        Question("Was the raw data kept?", _raw, whole=False),
        Question("Is the software there?", _software),
        Question("Anything else?"),
    ),
    "Uses": (
        Question("What was it used for already?"),
        Question("Where are papers and systems listed that use it?"),
        Question("What else could it be used for?"),
        Question("What about its composition may matter for later uses?", _composition, whole=False),
        Question("What should it not be used for?"),
        Question("Anything else?"),
    ),
    "Distribution": (
        Question("Will others get it?"),
        Question("How, and has it an identifier (DOI)?"),
        Question("When?"),
        Question("Under which licence or terms?", _licences, whole=False),
        Question("Have others put limits on it?"),
        Question("Do export rules apply?"),
        Question("Anything else?"),
    ),
    "Maintenance": (
        Question("Who hosts and maintains it?"),
        Question("How can they be reached?"),
        Question("Is there an erratum?"),
        Question("Will it be updated, by whom, and how is that told?"),
        Question("Are there limits to how long data about persons is kept?"),
        Question("Will older versions stay?"),
        Question("Can others add to it, and how is that checked?"),
        Question("Anything else?"),
    ),
}
"""The questions, in their order."""


def datasheet_of(run: RunRecords) -> bytes:
    """The data sheet of a finished run, in Markdown."""
    facts = Facts(run)
    lines = ["# Data sheet", "", f"Of the run {markdown_text(run.config.run)}, made by Winnow.", ""]
    body, still_open = [], 0
    for title, questions in SECTIONS.items():
        body += [f"## {title}", ""]
        for question in questions:
            known = list(question.known(facts)) if question.known else []
            is_open = not known or not question.whole
            still_open += is_open
            body += [f"### {question.asks}", "", *known, *([""] if known and is_open else [])]
            body += [OPEN, ""] if is_open else [""]
    number = sum(map(len, SECTIONS.values()))
    lines.append(f"{still_open} of {number} questions are left for people: search for OPEN. Figures are the run's own.")
    return ("\n".join([*lines, "", *body]).rstrip() + "\n").encode()


REPORT = Report("datasheet", "datasheet.md", datasheet_of, lambda config: config.report)
