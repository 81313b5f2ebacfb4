"""What reading altered or did not find, told by source with one place each: encodings, and names that match nothing."""

from collections.abc import Collection, Iterator, Sequence

from winnow.config.config import Config
from winnow.engine.records import Json
from winnow.flow.alarm import Alarm
from winnow.flow.records import RunRecords
from winnow.sources.encoding import DETECT, UTF_8
from winnow.sources.read import odd_files
from winnow.sources.records import FOREIGN, GUESSED, OPT_OUT, REPLACED, REPLACED_FIELD, REPLACED_NAME
from winnow.sources.source import SourceConfig
from winnow.stages.provenance.provenance import OPT_OUT as OPT_OUT_FIELD

ALARM_SHARE = 0.01
"""Documents of a source with bytes that were lost, from which it is an alarm."""
GUESS_SHARE = 0.1
"""Documents of a source whose encoding was guessed, from which it is an alarm: `detect` allows some."""
_MOST_FIELDS = 20
_READING = ("measure", "importance_target", "quality_examples")
"""Stages that read files."""


def noted(run: RunRecords) -> dict[str, dict[str, int]]:
    """By source, and by setting of examples: readable documents by note of ``winnow.sources.records``; none is left
    out that has some."""
    counts: dict[str, dict[str, int]] = {source.name: {} for source in run.config.sources}
    for stage in _READING:
        for key, number in run.totals(stage, "noted").items():
            name, _, note = key.partition("/")  # a field that a note names may have one, too
            counts.setdefault(name, {})[note] = number
    return {name: numbers for name, numbers in counts.items() if numbers}


def foreign_documents(run: RunRecords) -> int:
    """Documents of which much of what is not ASCII was lost: they count as what cannot be read does."""
    found = run.totals("measure", "noted").items()
    return sum(number for key, number in found if key.partition("/")[2] == FOREIGN)


def reading_lines(run: RunRecords) -> list[str]:
    """A line for each source and kind of note."""
    places = _places(run)
    return [
        f"source {name}: {number:,} documents {_what(note, _encoding(run, name), run)}, such as {places[name, note]}"
        for name, numbers in noted(run).items()
        for note, number in sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
    ]


def passed(run: RunRecords) -> dict[str, dict[str, int]]:
    """By source, records of its files that are no documents, by what they are."""
    found: dict[str, dict[str, int]] = {}
    for key, number in run.totals("measure", "passed").items():
        name, _, what = key.partition("/")
        found.setdefault(name, {})[what] = number
    return found


def passed_lines(run: RunRecords) -> list[str]:
    """A line a source with such records."""
    lines = []
    for name, kinds in passed(run).items():
        parts = ", ".join(f"{number:,} {what}" for what, number in sorted(kinds.items(), key=lambda k: (-k[1], k[0])))
        lines.append(
            f"source {name}: {sum(kinds.values()):,} records in its files are not documents and were skipped: {parts}"
        )
    return lines


def found_lines(run: RunRecords) -> list[str]:
    """A line a source whose files lists name, or of which only a part is taken."""
    lines = []
    for name, told in run.found.items():
        taken = "all" if told["taken"] == told["files"] else f"{told['taken']:,} (first_files, sample_files)"
        lines.append(f"source {name}: {told['files']:,} files are named, and {taken} taken")
        for one in told.get("lists", ()):
            twice = f", {one['twice']:,} of them more than once" if one["twice"] else ""
            lines.append(
                f"source {name}: list {one['path']} names {one['entries']:,} {one['of']}{twice}; sha256 {one['sha256']}"
            )
    dead = run.totals("measure", "unread_listed")
    for name, number in dead.items():
        lines.append(f"source {name}: files of its lists that could not be read to their end: {number:,}")
    return lines


def reading_manifest(run: RunRecords) -> dict[str, Json]:
    """What a source's entry in the manifest says of it; nothing where all is as the source says."""
    sources = {source.name for source in run.config.sources}
    found = {name: {"reading": numbers} for name, numbers in noted(run).items() if name in sources}
    for name, kinds in passed(run).items():
        found.setdefault(name, {})["no_documents"] = kinds
    dead = run.totals("measure", "unread_listed")
    for name, told in run.found.items():
        found.setdefault(name, {})["found"] = told | ({"unread": dead[name]} if name in dead else {})
    return found


def reading_alarms(run: RunRecords) -> list[Alarm]:
    """Sources that lost bytes in more than ``ALARM_SHARE`` of their documents, or were read by guess in more than
    ``GUESS_SHARE``; those without a record; fields that none has."""
    read = run.totals("measure", "readable")
    for stage in _READING[1:]:
        read |= run.totals(stage, "read")
    alarms = []
    for name, numbers in noted(run).items():
        of = read.get(name, 0)
        lost = numbers.get(REPLACED, 0) + numbers.get(FOREIGN, 0)
        guessed = sum(number for note, number in numbers.items() if note.startswith(GUESSED))
        if lost > ALARM_SHARE * of:
            encoding = _encoding(run, name)
            do = "set its `encoding`, such as cp1252 or gbk, or `detect`"
            if encoding != "UTF-8":
                do = "name another `encoding`, or mend the files"
            what = (
                f"source {name}: {lost:,} of {of:,} documents ({lost / of:.1%}) hold U+FFFD in place of bytes that are "
                f"not {encoding}, over {ALARM_SHARE:.0%}"
            )
            alarms.append(Alarm("replaced_bytes", name, what, do))
        if guessed > GUESS_SHARE * of:
            what = (
                f"source {name}: {guessed:,} of {of:,} documents ({guessed / of:.1%}) were read in an encoding that "
                f"was guessed, over {GUESS_SHARE:.0%}"
            )
            alarms.append(Alarm("charset", name, what, "look at some, and name their `encoding` if all have one"))
    return alarms + _missing(run)


def _missing(run: RunRecords) -> list[Alarm]:
    """Sources whose files hold no record, and fields that no record of a source has."""
    readable, unreadable = run.totals("measure", "readable"), run.totals("measure", "unreadable")
    present: dict[str, list[str]] = {}
    for record in run.of("measure"):
        for name, fields in record.metadata.get("fields", {}).items():
            present.setdefault(name, fields)
    alarms = []
    for source in run.config.sources:
        read = sum(file.source == source.name for file in run.files)
        if run.of("measure") and read and not readable.get(source.name, 0) + unreadable.get(source.name, 0):
            what = f"source {source.name}: no record in its {read:,} files"
            alarms.append(Alarm("empty_source", source.name, what, "look at its `path` and `format`"))
        given = run.totals("measure", f"given/{source.name}")
        fields = present.get(source.name, [])
        for setting, name in named_fields(run.config, source, fields):
            if readable.get(source.name) and not given.get(name):
                alarms.append(Alarm("missing_field", source.name, *no_value(source, setting, name, fields)))
    return alarms


def reading_warnings(run: RunRecords) -> list[str]:
    """Separators that cut no file, ids that some records lack, and plain text beside records."""
    readable, unreadable = run.totals("measure", "readable"), run.totals("measure", "unreadable")
    warnings = []
    files: dict[str, list[str]] = {}
    for file in run.files:
        files.setdefault(file.source, []).append(file.path)
    for source in run.config.sources:
        records = readable.get(source.name, 0) + unreadable.get(source.name, 0)
        if source.separator is not None and 0 < records <= len(files.get(source.name, [])):
            warnings.append(never_separated(source, len(files[source.name])))
        of = readable.get(source.name, 0)
        named = run.totals("measure", f"given/{source.name}").get(source.id or "", 0)
        if 0 < named < of:
            warnings.append(
                f"source {source.name}: id: {of - named:,} of {of:,} documents have no value for {source.id!r}, so "
                "their ids are derived from source, path and row; correct `id` where the field has another name there"
            )
    return warnings + [line for source in run.config.sources for line in odd_files(source, files.get(source.name, []))]


def never_separated(source: SourceConfig, files: int) -> str:
    """That a separator cut no file, which is then one document."""
    windows = "; files of Windows have \\r\\n at the ends of lines" if "\n" in (source.separator or "") else ""
    return (
        f"source {source.name}: separator {source.separator!r} does not stand between texts in any of its {files:,} "
        f"files, so each is one document{windows}"
    )


def named_fields(config: Config, source: SourceConfig, fields: Collection[str]) -> Iterator[tuple[str, str]]:
    """Setting and name of each field of which records should have a value: the id's, and those that are kept.

    Fields that rules on where documents come from read are carried along without being named. Pages mostly say nothing
    of opt-outs and licences, so only names that no record has at all are among these.
    """
    rules = config.filter.provenance_fields
    if source.id:
        yield "id", source.id
    for name in source.keep:
        if name not in rules:
            yield "keep", name
        elif name != OPT_OUT_FIELD and name not in fields:
            yield "filter", name


def no_value(source: SourceConfig, setting: str, name: str, fields: Sequence[str]) -> tuple[str, str]:
    """That a name in the config matches nothing and what follows; what records do have, or what to do."""
    told = {
        "id": "ids are derived from source, path and row",
        "filter": "its rules find none there (another name is set by `field` of urls or licences)",
    }.get(setting, "the column is empty")
    has = ", ".join(field[:40] for field in fields[:_MOST_FIELDS])
    what = f"source {source.name}: {setting}: no record has a value for {name!r}, so {told}"
    return what, f"records have: {has}" if has else f"correct `{setting}` of the source, or leave it out"


def _encoding(run: RunRecords, name: str) -> str:
    """What a source says that its bytes are."""
    named = {source.name: source.encoding for source in run.config.sources}
    for sets in run.config.select.example_sets if run.config.select else ():
        named |= {setting: examples.encoding for setting, examples in sets.items()}
    return "UTF-8" if named[name] in (UTF_8, DETECT) else named[name]


def _what(note: str, encoding: str, run: RunRecords) -> str:
    if note.startswith(OPT_OUT):
        kind = note.removeprefix(OPT_OUT)
        dropped = kind in (run.config.filter.opt_outs or ())
        what = "filter.opt_outs drops such" if dropped else "nothing is dropped for it without filter.opt_outs"
        return f"say that they are not for training ({kind}; {what})"
    if note == FOREIGN:
        return f"are not {encoding}: U+FFFD stands for much of what is not ASCII in them"
    if note == REPLACED:
        return f"hold some bytes that are not {encoding}, or lone surrogates: U+FFFD stands for them"
    if note == REPLACED_NAME:
        return "come from members of archives whose names are not UTF-8: U+FFFD stands for those bytes of the name"
    if note.startswith(REPLACED_FIELD):
        field = note.removeprefix(REPLACED_FIELD)
        return f"hold bytes that are not {encoding} in {field!r}: U+FFFD stands for them, in an id hexadecimal digits"
    if not note.startswith(GUESSED):
        return f"noted: {note}"
    return f"are not UTF-8 and were read as {note.removeprefix(GUESSED)}, which is a guess"


def _places(run: RunRecords) -> dict[tuple[str, str], str]:
    """The first place of each kind of note of a source."""
    places: dict[tuple[str, str], str] = {}
    for record in (record for stage in _READING for record in run.of(stage)):
        for source, notes in record.metadata.get("noted", {}).items():
            for note, place in notes.items():
                places.setdefault((source, note), place)
    return places
