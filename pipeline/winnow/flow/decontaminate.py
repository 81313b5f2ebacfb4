"""Evaluation sets: documents that dedup kept and that hold some of their items leave the corpus."""

from functools import lru_cache
from pathlib import Path

import orjson

from winnow.config.config import Config
from winnow.engine.records import Json, Record
from winnow.errors import ConfigError, NamedObjectError
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, ManifestPart, PartWork, Step
from winnow.operators.files import NamedFile, fetched, hash_of_file, publish
from winnow.schemas import CONTAMINATED, KEPT
from winnow.stages.decontaminate import decontaminate, found_items, items, search, spans
from winnow.stages.decontaminate.decontaminate import RULES
from winnow.stages.decontaminate.found_items import STATUS
from winnow.storage.config import StorageConfig
from winnow.storage.node_copy import without_pin
from winnow.text.contamination.config import DecontaminateConfig
from winnow.text.contamination.evaluation_files import suffix_of

FOLDER = "evaluations"
"""In a run folder: the files of evaluation sets, ``evaluations/HASH/NAME``."""
REPORT = "reports/contamination.parquet"
_MUCH_TOO_SHORT = 0.5
"""Of a set's items: from which share on that too few can be tested is a warning."""


def decontaminate_documents(context: RunContext) -> None:
    """Read the sets, search what is kept, write the ledger anew, add up item by item.

    Raises:
        ConfigError: a set cannot be used.
    """
    config, engine, run = context.config.decontaminate, context.engine, context.run
    assert config is not None
    read = items.stage(config.sets)
    files = check_sets(context.config)
    if not engine.dry:
        publish(engine.store, [NamedFile(_place(digest, path), path) for path, digest in files])
    named = [{"path": _place(digest, path), "hash": digest} for path, digest in files]
    size = sum(path.stat().st_size for path, _ in files)
    (made,) = engine.run(read, items.plan(named, size))
    rule = search.rule_of(config)
    searching, before = search.stage(rule), run.decided_before("decontaminate")
    searched = engine.run(searching, search.plan(run.parts, before, made))
    sources = [source.name for source in context.config.sources]
    cut = None
    if config.action == "span":
        cut = engine.run(spans.stage(config.span_characters), spans.plan(run.parts, searched))
    units = decontaminate.plan(before, run.of("filter"), searched, cut)
    engine.run(decontaminate.stage(rule, sources), units)
    listing = engine.listing(searching, searched, "places")
    engine.run(found_items.stage(config.min_words), found_items.plan(made, listing, searched))


def _place(digest: str, path: Path) -> str:
    return f"{FOLDER}/{digest}/{path.name}"


def check_sets(config: Config) -> list[tuple[Path, str]]:
    """Read every set, before any work is done: this node's file of each, and its hash.

    Raises:
        ConfigError: a set cannot be used; with file and line.
    """
    section = config.decontaminate
    return [] if section is None else read_files(section, config.storage)


def read_files(section: DecontaminateConfig, storage: StorageConfig) -> list[tuple[Path, str]]:
    """The same of the section alone."""
    found, shown = [], []
    for number, entry in enumerate(section.sets):
        name = without_pin(entry.path)
        try:
            path = fetched(entry.path, storage)
            suffix_of(name)
            if path.exists() and not path.is_file():  # a pipe would never end
                raise ConfigError(f"decontaminate.sets.{number}: {name}: no file; expected a file of evaluation items")
            found.append((path, hash_of_file(path)))
        except (NamedObjectError, OSError) as error:
            told = error if isinstance(error, NamedObjectError) else f"{name}: {error.strerror or error}"
            raise ConfigError(f"decontaminate.sets.{number}: {told}; expected a file of evaluation items") from error
        shown.append(name)
    _read(orjson.dumps(items.stage(section.sets).settings["sets"]), tuple(found), tuple(shown))
    return found


@lru_cache(maxsize=1)
def _read(sets: bytes, files: tuple[tuple[Path, str], ...], shown: tuple[str, ...]) -> None:
    """Read all files to see whether they can be; once for these contents."""
    items.read_sets(orjson.loads(sets), [path for path, _ in files], list(shown))


def _balances(run: RunRecords) -> list[Balance]:
    before = run.decided_before("decontaminate")
    kept, left = (total_of(records, KEPT) for records in (before, run.of("decontaminate")))
    found = run.total("contamination", "contaminated_documents")
    gone = total_of(run.of("decontaminate"), CONTAMINATED)
    cut = run.total("contamination_spans", "cut_documents")
    searched = run.total("contamination", "searched_documents")
    return [
        Balance("documents searched for evaluation items against kept", kept, searched),
        Balance("contaminated documents and those cut against those that hold an item", found, gone + cut),
        Balance("documents kept with evaluation sets against the others", kept - gone, left),
        Balance("documents left out with items against contaminated", gone, run.total("decontaminate", "left_out")),
    ]


def total_of(records: list[Record], outcome: str) -> int:
    """Documents with an outcome in the records of a ledger."""
    return sum(record.counters.get(f"outcome/{outcome}", 0) for record in records)


def by_set(run: RunRecords) -> dict[str, Json]:
    """What was found of each set, in the order of the config."""
    config = run.config.decontaminate
    counted = run.totals("contaminated_items", "items")
    documents, sizes = (run.totals("contamination", name) for name in ("contaminated_of", "bytes_of"))
    return {
        entry.shown: {
            "items": sum(counted.get(f"{entry.shown}/{status}", 0) for status in STATUS),
            **{status.replace(" ", "_"): counted.get(f"{entry.shown}/{status}", 0) for status in STATUS},
            "documents": documents.get(entry.shown, 0),
            "bytes": sizes.get(entry.shown, 0),
        }
        for entry in (config.sets if config is not None else ())
    }


def _tokens_a_byte(run: RunRecords) -> float:
    """Of what is tokenised; what was left out was not."""
    return run.total("tokenise", "tokens") / max(1, run.total("tokenise", "text_bytes"))


def _manifest(run: RunRecords) -> ManifestPart:
    return ManifestPart(
        top={
            "contamination": {
                "searched_documents": run.total("contamination", "searched_documents"),
                "searched_bytes": run.total("contamination", "searched_bytes"),
                "searched_words": run.total("contamination", "searched_words"),
                "cut_documents": run.total("contamination_spans", "cut_documents"),
                "cut_bytes": run.total("contamination_spans", "cut_bytes"),
                "documents": run.total("contamination", "contaminated_documents"),
                "bytes": run.total("contamination", "contaminated_bytes"),
                "sets": by_set(run),
            }
        }
    )


def _summary(run: RunRecords) -> list[str]:
    searched, found, size, listed_in_part = (
        run.total("contamination", name)
        for name in ("searched_documents", "contaminated_documents", "contaminated_bytes", "documents_of_more_places")
    )
    rate, sets = _tokens_a_byte(run), by_set(run)
    lines = [
        f"contamination: {found:,} of {searched:,} documents that dedup kept hold items of {len(sets):,} evaluation "
        f"sets{_cut(run, rate) or f' and are left out{_much(size, rate)}'}"
    ]
    for name, numbers in sets.items():
        left = [f"{numbers[key]:,} {told}" for key, told in _UNTESTED.items() if numbers[key]]
        lines.append(
            f"contamination by {name}: {numbers['found']:,} of {numbers['items']:,} items"
            f"{' (' + ', '.join(left) + ')' if left else ''} stand in {numbers['documents']:,} documents"
            f"{_much(numbers['bytes'], rate)}"
        )
    for name, numbers in sets.items():
        untested = numbers["too_short"] + numbers["empty"]
        if untested > _MUCH_TOO_SHORT * numbers["items"]:
            lines.append(
                f"WARNING: {untested:,} of the {numbers['items']:,} items of {name} are empty or too short to test; "
                "name other fields (decontaminate.sets), or test them by other means"
            )
    if listed_in_part:
        lines.append(
            f"WARNING: {listed_in_part:,} documents hold items at over 1,000 places, and only the first of each are "
            "listed: other items that they hold may count as not found"
        )
    return [*lines, f"contamination, item by item: {run.store.location(REPORT)}"]


def _cut(run: RunRecords, rate: float) -> str:
    """What became of them where stretches are cut; empty where documents are dropped."""
    if not run.of("contamination_spans"):
        return ""
    cut, size, whole = (
        run.total("contamination_spans", name) for name in ("cut_documents", "cut_bytes", "whole_documents")
    )
    return f": {cut:,} are cut{_much(size, rate)}, and {whole:,}, of which nothing would be left, are left out"


_UNTESTED = {"too_short": "too short to test", "empty": "empty", "same": "with the words of another"}


def _much(size: int, rate: float) -> str:
    if not size:
        return ""
    return f" ({size / 1e6:,.1f} MB of text{f', about {size * rate:,.0f} tokens' if rate else ''})"


def _publishes(run: RunRecords) -> dict[str, bytes]:
    (record,) = run.of("contaminated_items")
    return {REPORT: run.store.read(record.outputs["items"].path)}


def _stages(context: RunContext) -> list[str]:
    config = context.config.decontaminate
    cut = ["contamination_spans"] if config is not None and config.action == "span" else []
    return ["evaluation_items", "contamination", *cut, "decontaminate", "contaminated_items"]


def _check(config: Config) -> None:
    check_sets(config)
    structured = [source.name for source in config.sources if source.structure_fields]
    if config.decontaminate is not None and config.decontaminate.action == "span" and structured:
        raise ConfigError(
            f"decontaminate.action: span cuts texts, but the records of source {structured[0]} are more than a text "
            "(conversations or pairs): use drop"
        )


def _enabled(config: Config) -> bool:
    return config.decontaminate is not None


STEP = Step(
    name="decontaminate",
    run=decontaminate_documents,
    stages=_stages,
    enabled=_enabled,
    check=_check,
    part_work=PartWork(files=3, records=2, opens=16),
    ledger="decontaminate",
    outcomes=(CONTAMINATED,),
    reasons={
        RULES[0]: "holds {0:.4g} of the words of a question, from {1:.4g} on it is contaminated",
        RULES[1]: "holds {0:.4g} of the words of a question and its answer, from {1:.4g} on it is contaminated",
    },
    balances=_balances,
    manifest=_manifest,
    summary=_summary,
    publishes=_publishes,
)
