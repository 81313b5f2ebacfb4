"""The section on what was kept: licences, sites and years where documents say them, and tokens by language."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow.engine.records import Json
from winnow.flow.columns import licence_fields
from winnow.flow.records import RunRecords
from winnow.looking.token_lengths import token_lengths
from winnow.report.page.parts import Part, TableOf, table
from winnow.report.page.sample import Sample, chosen_parts
from winnow.stages.licences import licences_of
from winnow.stages.tables import column_to_numpy, read_parquet

MOST_ROWS = 30
DATES = ("date", "timestamp", "published", "created", "year")
"""Kept fields that tell a year; of several in a part the first."""
_HOST = r"^[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?(?:www\.)?(?P<host>[^/?#:]+)"
_YEAR = r"^(?P<year>1[5-9][0-9]{2}|20[0-9]{2})(?:$|-|/|[0-9]{4}$|[0-9]{10}$)"


def kept_section(run: RunRecords, sample: Sample) -> Part | None:
    """Of the kept documents of the sample; None where there are none."""
    if not sample.kept.any():
        return None
    found = pa.concat_tables(_documents(run, sample))
    of = f" of {sample.parts:,} of {len(run.parts):,} parts" if sample.parts < len(run.parts) else ""
    part = Part(
        "What was kept",
        f"The {found.num_rows:,} kept documents{of}, each once. A licence is the document's own where its source keeps "
        "the field, else its source's. Few bytes a token: the vocabulary cuts this language into small pieces, so the "
        "same text takes more of the training.",
        f"winnow kept {run.config.run} --sample 20",
    )
    part.tables = [
        _languages(found),
        _counted(found, "licence", "not stated", "licences"),
        *(
            _counted(found, name, None, f"{name}s")
            for name in ("site", "year")
            if found.column(name).null_count < len(found)
        ),
    ]
    return part


def _documents(run: RunRecords, sample: Sample) -> Iterator[pa.Table]:
    """Of each part of the sample the kept documents: language, licence, site, year, bytes, characters, tokens."""
    kept, config = sample.docs[sample.kept], run.config.filter
    address, own = (config.urls and config.urls.field) or "url", licence_fields(run.config)
    declared = {source.name: source.licence for source in run.config.sources}
    for number in chosen_parts([part.rows for part in run.parts]):
        part = run.parts[number]
        documents = _fields(run, part.documents, (address, *own, *DATES))
        docs = column_to_numpy(documents, "doc")
        signals = read_parquet(run.store, part.signals, ["doc", "language", "bytes", "characters"])
        columns = {
            "doc": pa.array(docs),
            "licence": licences_of(documents, own, declared),
            "site": _matched(documents, (address,), _HOST, "host"),
            "year": _matched(documents, DATES, _YEAR, "year"),
            **_measured(signals, docs),
            "tokens": pa.array(_tokens(run, number, docs)),
        }
        first, last = np.searchsorted(kept, docs[0]), np.searchsorted(kept, docs[-1], "right")  # both are rising
        yield pa.table(columns).filter(pa.array(np.isin(docs, kept[first:last], assume_unique=True)))


def _fields(run: RunRecords, reference: Json, wanted: tuple[str, ...]) -> pa.Table:
    """The kept fields that a part's documents have."""
    there = set(pq.read_schema(run.store.columns_of(reference["path"])).names)
    names = dict.fromkeys(f"keep.{name}" for name in wanted)
    return read_parquet(run.store, reference, ["doc", "source", *(name for name in names if name in there)])


def _matched(documents: pa.Table, fields: tuple[str, ...], pattern: str, group: str) -> pa.Array | pa.ChunkedArray:
    """string[N]: what of the first of these fields the pattern finds."""
    for name in (f"keep.{field}" for field in fields):
        if name in documents.column_names:
            texts = pc.utf8_lower(documents.column(name).cast(pa.large_string()))
            return pc.struct_field(pc.extract_regex(texts, pattern), group).cast(pa.string())
    return pa.nulls(documents.num_rows, pa.string())


def _measured(signals: pa.Table, docs: NDArray[np.uint64]) -> dict[str, pa.Array]:
    """Language string[N], bytes and characters int64[N] of documents uint64[N]."""
    rows = signals.take(pa.array(np.searchsorted(column_to_numpy(signals, "doc"), docs)))
    language = pc.fill_null(rows.column("language").cast(pa.string()), "unknown")
    return {"language": language, **{name: rows.column(name).cast(pa.int64()) for name in ("bytes", "characters")}}


def _tokens(run: RunRecords, number: int, docs: NDArray[np.uint64]) -> NDArray[np.int64]:
    """int64[N]: token ids of documents uint64[N], 0 of those that were not tokenised."""
    found = np.zeros(len(docs), np.int64)
    if run.of("tokenise"):
        there, lengths = token_lengths(run, number)
        found[np.searchsorted(docs, there)] = lengths
    return found


def _summed(found: pa.Table, column: str) -> list[Json]:
    """Documents, bytes, characters and tokens by what a column says, most tokens first."""
    sums = [(name, "sum") for name in ("bytes", "characters", "tokens")]
    groups: list[Json] = found.group_by(column).aggregate([("doc", "count"), *sums]).to_pylist()
    return sorted(groups, key=lambda group: (-group["tokens_sum"], -group["doc_count"], str(group[column])))


def _languages(found: pa.Table) -> TableOf:
    groups = _summed(found, "language")
    rows = [
        [
            group["language"],
            f"{group['doc_count']:,}",
            f"{group['tokens_sum']:,}",
            *(_ratio(group[f"{unit}_sum"], group["tokens_sum"]) for unit in ("bytes", "characters")),
        ]
        for group in groups
    ]
    columns = ["language", "documents", "tokens", "bytes a token", "characters a token"]
    return table(columns, rows[:MOST_ROWS], note=_more(len(rows), "languages"))


def _ratio(amount: int, tokens: int) -> str:
    return f"{amount / tokens:.2f}" if tokens else ""


def _counted(found: pa.Table, column: str, missing: str | None, what: str) -> TableOf:
    """Documents and tokens by licence, site or year; years in their order. Nulls are ``missing``, or in the note."""
    groups = _summed(found, column)
    unknown = sum(group["doc_count"] for group in groups if group[column] is None)
    groups = [group for group in groups if group[column] is not None or missing]
    if column == "year":
        groups = sorted(
            sorted(groups, key=lambda group: -group["doc_count"])[:MOST_ROWS], key=lambda group: group[column]
        )
    whole = sum(group["tokens_sum"] for group in groups)
    rows = [
        [
            str(missing if group[column] is None else group[column]),
            f"{group['doc_count']:,}",
            f"{group['tokens_sum']:,}",
            f"{group['tokens_sum'] / whole:.2%}" if whole else "",
        ]
        for group in groups
    ]
    untold = f"{unknown:,} documents tell none." if unknown and not missing else ""
    notes = [_more(pc.count_distinct(found.column(column)).as_py(), what), untold]
    return table([column, "documents", "tokens", "share"], rows[:MOST_ROWS], note=" ".join(filter(None, notes)))


def _more(rows: int, what: str) -> str:
    return f"{rows - MOST_ROWS:,} more {what} are left out." if rows > MOST_ROWS else ""
