"""Verify: hash every shard against the manifest, and close the books again from the tables themselves."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow import schemas
from winnow.audit.verify.contamination import check_contamination
from winnow.audit.verify.labels import check_labels
from winnow.audit.verify.line_rules import check_line_rules
from winnow.audit.verify.passages import check_passages
from winnow.audit.verify.provenance import check_provenance
from winnow.audit.verify.screen import check_screen
from winnow.audit.verify.semantic import check_semantics
from winnow.audit.verify.similarity import check_similarities
from winnow.audit.verify.steps import check_steps
from winnow.audit.verify.streams import count_kept
from winnow.dedup.index import indexed_documents
from winnow.engine.records import Json
from winnow.engine.release import Released
from winnow.errors import StorageError
from winnow.finished.shards import check_file
from winnow.flow.documents import written_documents
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance
from winnow.looking.token_lengths import token_lengths
from winnow.shards.formats.formats import FORMATS
from winnow.shards.formats.shard_format import ShardFiles, ShardFormat, beside
from winnow.shards.manifest import parse_manifest
from winnow.stages.shards.shard_set import described_formats
from winnow.stages.tables import column_to_numpy, read_parquet
from winnow.storage.store import Store


def check_shards(run: RunRecords) -> list[str]:
    """Faults of the shard set and of what was converted from it: files missing, cut, altered, or counting otherwise."""
    try:
        manifest = run.manifest
    except StorageError as error:
        faults = [str(error)]
    else:
        faults = check_set(run.store, run.shards, manifest)
    for folder in (f"{run.shards}-{name}" for name in FORMATS):
        if run.store.exists(f"{folder}/manifest.json"):
            try:
                faults += check_set(run.store, folder, parse_manifest(run.store.read(f"{folder}/manifest.json")))
            except ValueError as error:
                faults.append(f"{folder}/manifest.json: not readable ({error}); remove the folder and convert again")
    return faults + _check_documents(run)


def _check_documents(run: RunRecords) -> list[str]:
    """Faults of the files of clean text: missing, cut or altered."""
    described = written_documents(run)
    splits = [split for by_split in described.get("files", {}).values() for split in by_split.items()]
    return [fault for name, files in splits for fault in _check_files(run.store, described["folder"], files, name)]


def check_set(store: Store, folder: str, manifest: Json) -> list[str]:
    """Faults of one shard set."""
    faults: list[str] = []
    for file_format, splits in described_formats(manifest["shards"]).items():
        written = FORMATS.get(file_format)
        for name, split in splits.items():
            for shard in split["shards"]:
                files = [shard, *shard.get("files", [])]
                found = _check_files(store, folder, files, name)
                faults += found or [
                    *_check_rows(store, f"{folder}/{shard['path']}", shard, written),
                    *_check_links(store, f"{folder}/{shard['path']}", shard, name, written),
                ]
            faults += _check_files(store, folder, split.get("files", []), name)
    return faults


def _check_files(store: Store, folder: str, files: list[Json], split: str) -> list[str]:
    checked = (check_file(store, f"{folder}/{file['path']}", file, split) for file in files)
    return [fault for fault in checked if fault is not None]


def _check_links(store: Store, path: str, file: Json, split: str, written: ShardFormat) -> list[str]:
    """Faults of a main file's other names: where they are no links (a copied folder), they must still be equal."""
    names = [beside(path, suffix) for suffix in written.links]
    copies = [name for name in names if store.exists(name) and not store.same_file(name, path)]
    return [fault for name in copies if (fault := check_file(store, name, file, split)) is not None]


def _check_rows(store: Store, path: str, file: Json, written: ShardFormat) -> list[str]:
    """Faults of what a shard itself says that it holds."""
    if written.count is None:
        return []
    try:
        rows, tokens = written.count(ShardFiles(store, path, file))
    except (ValueError, LookupError, TypeError, pa.ArrowException) as error:
        return [f"{path}: its rows cannot be counted ({type(error).__name__}: {error})"]
    faults = []
    if rows != file["rows"]:
        faults.append(f"{path}: holds {rows:,} rows, the manifest says {file['rows']:,}")
    if tokens != file["tokens"]:
        faults.append(f"{path}: document pieces hold {tokens:,} tokens, the manifest says {file['tokens']:,}")
    return faults


def has_manifest(run: RunRecords) -> bool:
    """Whether the run's own manifest can be read; what is wrong with it is told by :func:`check_shards`."""
    try:
        return bool(run.manifest)
    except StorageError:
        return False


def check_work(run: RunRecords, *, hashes: bool) -> list[str]:
    """Faults of the tables that the run committed: gone, of another size, or (``hashes``) altered."""
    faults = []
    released = Released(run.store)
    for records in run.records.values():
        outputs = [output for record in records for output in record.outputs.values()]
        outputs = [output for output in outputs if not released.holds(output.path)]
        gone = run.store.missing((output.path, output.bytes) for output in outputs)
        for output in outputs:
            if output.path not in gone:
                size: int | None = output.bytes
            else:
                size = run.store.size(output.path)
            if size is None:
                faults.append(f"{output.path}: missing; a record under work/ names it")
            elif size != output.bytes:
                faults.append(f"{output.path}: cut or grown; {size:,} bytes, its record says {output.bytes:,}")
            elif hashes and output.hash.startswith("xxh3_128:") and run.store.hash(output.path) != output.hash:
                faults.append(f"{output.path}: altered; its hash is not the one in its record")
    return faults


def check_keepers(run: RunRecords) -> Balance:
    """Duplicates whose keeper is kept, by this run or by one that it was compared with, against all duplicates.

    Kept means: by the step that removed the duplicate. What dedup kept may repeat another document in other words, and
    what semantic dedup kept may be left out of the sample.
    """

    def tables(columns: list[str]) -> Iterator[pa.Table]:
        for decided in run.of("decide"):
            yield read_parquet(run.store, decided.outputs["decisions"].reference(), columns)

    def kept() -> Iterator[NDArray[np.uint64]]:
        for table in tables(["doc", "outcome"]):
            yield column_to_numpy(table.filter(pc.equal(table.column("outcome"), schemas.KEPT)), "doc")
        for entry in run.index_parts.values():
            yield indexed_documents(entry["part"], np.arange(entry["kept"], dtype=np.uint32))

    keepers = (table.column("keeper").drop_null().to_numpy() for table in tables(["keeper"]))
    return Balance("duplicates whose keeper is kept", *count_kept(keepers, kept))


def check_lines(run: RunRecords) -> list[Balance]:
    """Boilerplate removed from each source: the manifest against the sums over all documents."""
    expected = {name: source.get("boilerplate") for name, source in run.manifest["sources"].items()}
    found = {name: Counter[str]() for name, numbers in expected.items() if numbers}
    for part in run.parts if found else []:
        table = read_parquet(run.store, part.signals, ["source", "characters", *schemas.REMOVED_LINES.names])
        lines, characters = (column_to_numpy(table, name) for name in schemas.REMOVED_LINES.names)
        sources = np.array(table.column("source").to_pylist())
        for name, counts in found.items():
            mine = (sources == name) & (lines > 0)
            counts["documents"] += int(mine.sum())
            counts["emptied"] += int((mine & (column_to_numpy(table, "characters") == 0)).sum())
            counts["lines"] += int(lines[mine].sum(dtype=np.int64))
            counts["characters"] += int(characters[mine].sum(dtype=np.int64))
    # what is empty in the end may have been emptied by line rules, which come behind
    emptied = ("emptied",) if run.config.measure.line_rules is None else ()
    return [
        Balance(f"boilerplate {what} of source {name}", expected[name][what], counts[what])
        for name, counts in found.items()
        for what in ("documents", *emptied, "lines", "characters")
    ]


def recount(run: RunRecords) -> list[Balance]:
    """The books, from the rows of every table rather than from counters."""
    outcomes: Counter[str] = Counter()
    documents = kept = tokens = token_documents = 0
    twice = 0
    previous_last = -1
    for number, (part, decided) in enumerate(zip(run.parts, run.ledger, strict=True)):
        docs = column_to_numpy(read_parquet(run.store, part.documents, ["doc"]), "doc")
        decisions = read_parquet(run.store, decided.outputs["decisions"].reference(), ["doc", "outcome", "copies"])
        decided_docs = column_to_numpy(decisions, "doc")
        documents += len(docs)
        twice += int((np.diff(docs.astype(np.int64)) <= 0).sum()) + int(len(docs) > 0 and docs[0] <= previous_last)
        previous_last = int(docs[-1]) if len(docs) else previous_last
        if not np.array_equal(docs, decided_docs):
            twice += 1
        outcomes.update(decisions.column("outcome").to_pylist())
        token_docs, lengths = token_lengths(run, number)
        copies = column_to_numpy(decisions, "copies")[np.searchsorted(decided_docs, token_docs)]
        token_documents += int((copies > 0).sum())  # select leaves documents out that have been tokenised
        tokens += int(((lengths + 1) * copies).sum())
        kept += int((column_to_numpy(decisions, "copies") > 0).sum())
    unreadable = sum(
        read_parquet(run.store, r.outputs["unreadable"].reference(), ["doc"]).num_rows for r in run.of("measure")
    )
    outcomes[schemas.UNREADABLE] += unreadable
    books = run.manifest["books"]
    balances = [
        Balance("records in the books", books["records"], documents + unreadable),
        Balance("documents out of order, twice, or without exactly one decision", 0, twice),
        Balance("documents with tokens against kept documents", kept, token_documents),
        Balance(
            "tokens in the shards",
            sum(split["tokens"] for split in run.manifest["shards"]["splits"].values()),
            tokens,
        ),
    ]
    balances += [
        check_keepers(run),
        check_similarities(run),
        *check_lines(run),
        *check_line_rules(run),
        *check_provenance(run),
        *check_screen(run),
        *check_contamination(run),
        *check_passages(run),
        *check_semantics(run),
        *check_steps(run),
        *check_labels(run),
    ]
    balances += [
        Balance(f"documents with outcome {name}", books["outcomes"].get(name, 0), outcomes.get(name, 0))
        for name in schemas.OUTCOMES
    ]
    return balances
