"""Why: one document's story, from the tables alone."""

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Json, Record
from winnow.finished.earlier import EarlierDocument, is_earlier, read_earlier, run_of
from winnow.finished.families import Family, family_of
from winnow.finished.locate import locations_of
from winnow.finished.passages import passages_of
from winnow.finished.story import Evidence, FailedRule, HeldItem, LostDocument, Story, UnreadableRecord
from winnow.flow.flow import REASONS
from winnow.flow.records import RunRecords
from winnow.looking.texts import shown_texts
from winnow.sources.catalogue import CATALOGUE
from winnow.stages.buckets import column_of
from winnow.stages.ingest.labels import COLUMN as LABEL_COLUMN
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import column_to_numpy, parquet_batches, read_ipc, read_parquet
from winnow.text.line_rules.config import COLUMNS, columns_of
from winnow.text.signals.signals import SIGNALS

_OWN_SIGNALS = frozenset(("doc", "source", "language", *SIGNALS, *schemas.REMOVED_LINES.names, *COLUMNS))
"""Columns of the signals table that no operator has made."""


def find(run: RunRecords, name: str, *, by_number: bool = False) -> list[int]:
    """Numbers of all documents with this id (ids need not be unique), or the one with this document number.

    A number that is somebody's id as well means the id, unless ``by_number`` says that no id is meant.
    """
    found: list[int] = []
    if by_number:
        return _numbered(run, name)
    for part in run.parts:
        for batch in parquet_batches(run.store, part.documents, ["doc", "id"]):
            hits = pc.equal(batch.column("id"), pa.scalar(name, batch.column("id").type))
            found += batch.column("doc").filter(hits).to_pylist()
    return found or _numbered(run, name)


def _numbered(run: RunRecords, name: str) -> list[int]:
    if not (name.isascii() and name.isdecimal() and len(name) <= len(str(schemas.NO_DOC))):
        return []
    number = int(name)
    return [number] if number < int(schemas.NO_DOC) and _part_of(run, number) is not None else []


def unreadable(run: RunRecords, name: str, *, by_number: bool = False) -> list[UnreadableRecord]:
    """Unreadable records with this id or document number, or of the files with this name or path.

    With ``by_number`` the one with this number.
    """
    records = []
    for record in run.of("measure"):
        for row in read_parquet(run.store, record.outputs["unreadable"].reference()).to_pylist():
            named = name == row["id"] or f"/{row['path']}".endswith(f"/{name}")
            if name and (name == str(row["doc"]) or (named and not by_number)):
                number = None if row["doc"] == int(schemas.NO_DOC) else schemas.split_document_number(row["doc"])[1]
                records.append(UnreadableRecord(row["path"], number, row["position"], row["reason"], row["id"]))
    return records


def files_named(run: RunRecords, name: str) -> list[str]:
    """Paths of the run's input files with this name or path."""
    return [file.path for file in run.files if name and f"/{file.path}".endswith(f"/{name}")]


def explain(run: RunRecords, doc: int, *, with_keeper: bool = True) -> Story:
    """The story of one document that :func:`find` found."""
    number = _part_of(run, doc)
    assert number is not None, f"document {doc} is in no part"
    part = run.parts[number]
    decided, filtered = run.ledger[number], run.of("filter")[number]
    file, row = schemas.split_document_number(doc)
    path = next(f["path"] for f in orjson.loads(run.store.read(CATALOGUE))["files"] if f["number"] == file)
    document = _row(read_document(run, part, doc), doc)
    decision = _row(read_parquet(run.store, decided.outputs["decisions"].reference()), doc)
    later = (record for stage in ("screen", "redact") for record in run.of(stage)[number : number + 1])
    failed = _failed(run, (filtered, *later), doc)
    lost = _removed(run, part, doc)
    keeper = decision["keeper"]
    kept = decision["outcome"] == schemas.KEPT
    tokens, places = locations_of(run, number, doc, decision) if kept and with_keeper else (None, ())
    return Story(
        doc,
        document["id"],
        document["source"],
        path,
        row,
        shown_texts(run, {doc})[doc],
        *lost,
        decision["outcome"],
        tuple(FailedRule(f["rule"], f["value"], f["threshold"]) for f in failed),
        _keeper(run, keeper) if keeper is not None and with_keeper else None,
        decision["similarity"],
        _measured_by(run, part, decision) if with_keeper else None,
        tokens,
        places,
        _left_out(decision),
        document.get(LABEL_COLUMN),
        (*_of_operators(run, part.signals, doc), *_after_dedup(run, number, doc)),
        decision["containment"],
        decision["lost_ngrams"],
        decision["guard"],
        _keeper(run, decision["guard_keeper"]) if decision["guard_keeper"] is not None and with_keeper else None,
        tuple(
            (name.removeprefix("keep."), value)
            for name, value in document.items()
            if name.startswith("keep.") and value is not None and name != LABEL_COLUMN
        ),
        _evidence(run, number, doc),
        _removed_by_rule(run, part, doc),
        _held_items(run, number, doc),
        _bucket(run, number, doc),
        passages_of(run, number, doc) if with_keeper else (),
        family_of(run, doc) if with_keeper else Family(),
    )


def _bucket(run: RunRecords, number: int, doc: int) -> str | None:
    """The bucket of the mixture that the document belongs to."""
    if not run.of("buckets"):
        return None
    rows = _rows(read_ipc(run.store, run.of("buckets")[number].outputs["buckets"].reference()), doc)
    phases = run.config.shards.all_phases
    told = [
        (f"{phase.name}: " if run.config.shards.phases else "") + phase.mixture.leaves[row[column_of(number)]].name
        for row in rows
        for number, phase in enumerate(phases)
        if phase.mixture is not None and column_of(number) in row
    ]
    return ", ".join(told) or None


def _held_items(run: RunRecords, number: int, doc: int) -> tuple[HeldItem, ...]:
    """Evaluation items that the document holds, each at its best place."""
    searched, made = run.of("contamination")[number : number + 1], run.of("evaluation_items")
    if not searched or not searched[0].outputs["places"].rows:
        return ()
    rows = _rows(read_parquet(run.store, searched[0].outputs["places"].reference()), doc)
    if not rows:
        return ()
    items = read_parquet(run.store, made[0].outputs["items"].reference())
    best: dict[int, Json] = {}
    for row in sorted(rows, key=lambda row: (-row["covered"] / row["words"], row["by"] != "question", row["begin"])):
        best.setdefault(row["item"], row)
    found = []
    for item, row in best.items():
        about = items.slice(item, 1).to_pylist()[0]
        alike = [other for other in rows if other["item"] == item and other["by"] == row["by"]]
        named = {name: about[name] for name in ("set", "file", "line", "question")}
        held = {name: row[name] for name in ("by", "covered", "words", "begin", "end")}
        found.append(HeldItem(**named, **held, places=len(alike)))
    return tuple(found)


def _left_out(decision: Json) -> FailedRule | None:
    """What of a decision a later step wrote: filter's rules are told by the table of failures."""
    if decision["rule"] not in REASONS:
        return None
    return FailedRule(decision["rule"], decision["value"], decision["threshold"])


def _failed(run: RunRecords, records: Iterable[Record], doc: int) -> list[Json]:
    """Rows of the document in their tables of failures, table by table."""
    found = []
    for record in records:
        failures = read_parquet(run.store, record.outputs["failures"].reference())
        found += failures.filter(pc.equal(failures.column("doc"), pa.scalar(doc, pa.uint64()))).to_pylist()
    return found


def _evidence(run: RunRecords, number: int, doc: int) -> tuple[Evidence, ...]:
    """By which entries the document failed rules on provenance."""
    if not run.of("provenance"):
        return ()
    matches = read_parquet(run.store, run.of("provenance")[number].outputs["matches"].reference())
    return tuple(Evidence(row["rule"], row["list"], row["entry"]) for row in _rows(matches, doc))


def _of_operators(run: RunRecords, signals: Json, doc: int) -> tuple[tuple[str, float | bool | None], ...]:
    """What operators found in the document, in the order of the config; nothing where the table does not have it."""
    if not run.config.measure.operators:
        return ()
    with pq.ParquetFile(run.store.columns_of(signals["path"])) as file:
        names = [name for name in file.schema_arrow.names if name not in _OWN_SIGNALS]
    rows = _rows(read_parquet(run.store, signals, ["doc", *names]), doc)
    return tuple((name, row[name]) for row in rows for name in names)


def _after_dedup(run: RunRecords, number: int, doc: int) -> tuple[tuple[str, float | bool | None], ...]:
    """What operators on GPUs and those that find spans found, where the document was kept until then."""
    tables = [run.of(stage)[number] for stage in ("screen_signals", "redact_spans") if run.of(stage)]
    found = [_of_operators(run, record.outputs["signals"].reference(), doc) for record in tables]
    return tuple(signal for signals in found for signal in signals)


def _removed(run: RunRecords, part: Part, doc: int) -> tuple[int, int]:
    """Lines and characters that the document lost as boilerplate."""
    if not (run.config.dedup and run.config.dedup.lines):
        return 0, 0
    columns = schemas.REMOVED_LINES.names
    row = _row(read_parquet(run.store, part.signals, ["doc", *columns]), doc)
    return row[columns[0]], row[columns[1]]


def _removed_by_rule(run: RunRecords, part: Part, doc: int) -> tuple[tuple[str, int, int], ...]:
    """Rules, lines and bytes that the document lost by them."""
    rules = run.config.measure.line_rules
    if rules is None:
        return ()
    row = _row(read_parquet(run.store, part.signals, ["doc", *rules.columns]), doc)
    lost = [(rule, *(row[column] for column in columns_of(rule))) for rule in rules.rules]
    return tuple((rule, lines, size) for rule, lines, size in lost if lines or size)


def _measured_by(run: RunRecords, part: Part, decision: Json) -> Literal["texts", "signatures"] | None:
    """Whether the texts or the signatures settled a near-duplicate; None where the keeper's signature is gone."""
    dedup = run.config.dedup
    if decision["outcome"] != schemas.NEAR_DUPLICATE or dedup is None:
        return None
    if dedup.verify != "signature":
        return "texts" if dedup.verify == "exact" else "signatures"
    keeper = decision["keeper"]
    if is_earlier(keeper):
        earlier = read_earlier(run, keeper)
        other = None if earlier is None else earlier.signature
    else:
        number = _part_of(run, keeper)
        other = None if number is None else _signature(run, run.parts[number], keeper)
    if other is None:
        return None
    agreeing = int((_signature(run, part, decision["doc"]) == other).sum())
    return "signatures" if agreeing >= dedup.verification.accept_from else "texts"


def _signature(run: RunRecords, part: Part, doc: int) -> NDArray[np.uint32]:
    table = read_ipc(run.store, part.signatures)
    row = int(np.searchsorted(column_to_numpy(table, "doc"), np.uint64(doc)))
    found: NDArray[np.uint32] = np.array(table.column("signature")[row].values.to_numpy())
    return found


def _keeper(run: RunRecords, doc: int) -> "Story | EarlierDocument | LostDocument":
    if not is_earlier(doc):
        return explain(run, doc, with_keeper=False)
    return read_earlier(run, doc) or LostDocument(doc, run_of(run, doc))


def read_document(run: RunRecords, part: Part, doc: int) -> pa.Table:
    """The row group that holds a document."""
    kept = dict.fromkeys(f"keep.{name}" for source in run.config.sources for name in source.keep)
    with pq.ParquetFile(run.store.columns_of(part.documents["path"])) as file:
        there = [name for name in kept if name in file.schema_arrow.names]  # a part has what its own sources keep
    columns = ["doc", "id", "text", "source", *there, *([LABEL_COLUMN] if run.config.labelled else [])]
    for batch in parquet_batches(run.store, part.documents, columns):
        docs = batch.column("doc").to_numpy()
        if len(docs) and docs[0] <= doc <= docs[-1]:
            return pa.Table.from_batches([batch])
    raise LookupError(f"document {doc} is not in {part.documents['path']}")


def examples(run: RunRecords, outcome: str) -> Iterator[int]:
    """Document numbers with this outcome, in order."""
    for decided in run.ledger:
        table = read_parquet(run.store, decided.outputs["decisions"].reference(), ["doc", "outcome"])
        yield from table.filter(pc.equal(table.column("outcome"), outcome)).column("doc").to_pylist()


def _part_of(run: RunRecords, doc: int) -> int | None:
    starts = np.array([part.first_doc for part in run.parts], np.uint64)
    number = int(np.searchsorted(starts, np.uint64(doc), side="right")) - 1
    if number < 0:
        return None
    docs = column_to_numpy(read_parquet(run.store, run.parts[number].documents, ["doc"]), "doc")
    return number if doc in docs else None


def _row(table: pa.Table, doc: int) -> Json:
    return _rows(table, doc)[0]


def _rows(table: pa.Table, doc: int) -> list[Json]:
    rows: list[Json] = table.filter(pc.equal(table.column("doc"), pa.scalar(doc, pa.uint64()))).to_pylist()
    return rows
