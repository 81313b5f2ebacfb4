"""What a finished run holds: its ledger, its texts, its shards; and a ledger with a lie in it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from winnow.flow.documents import written_documents
from winnow.flow.records import RunRecords
from winnow.runs.state import load_run
from winnow.stages.tables import read_parquet


def shards_of(folder: Path) -> dict[str, str]:
    """Hash of every shard, by path."""
    manifest = load_run(str(folder)).manifest
    return {s["path"]: s["sha256"] for split in manifest["shards"]["splits"].values() for s in split["shards"]}


def text_files_of(folder: Path) -> dict[str, str]:
    """Hash of every file of clean text, by path; nothing where there are none."""
    files = written_documents(load_run(str(folder))).get("files", {})
    return {file["path"]: file["sha256"] for splits in files.values() for split in splits.values() for file in split}


def ledger(run: Path) -> dict[str, dict]:
    """Every decision of a finished run, by the document's id."""
    finished = load_run(str(run))
    rows = {}
    for part, decided in zip(finished.parts, finished.of("decide"), strict=True):
        ids = read_parquet(finished.store, part.documents, ["id"]).column("id").to_pylist()
        table = pq.read_table(finished.store.path(decided.outputs["decisions"].path)).to_pylist()
        rows |= dict(zip(ids, table, strict=True))
    return rows


def texts_and_decisions(finished: RunRecords) -> tuple[dict[int, str], dict[int, dict]]:
    texts: dict[int, str] = {}
    decisions: dict[int, dict] = {}
    for part, decided in zip(finished.parts, finished.of("decide"), strict=True):
        table = pq.read_table(finished.store.path(part.documents["path"]), columns=["doc", "text"])
        texts |= dict(zip(table.column("doc").to_pylist(), table.column("text").to_pylist(), strict=True))
        rows = pq.read_table(finished.store.path(decided.outputs["decisions"].path)).to_pylist()
        decisions |= {row["doc"]: row for row in rows}
    return texts, decisions


def alter_decisions(run: RunRecords, doc: int, **values) -> None:
    """Change one row of the ledger on disk."""
    for record in run.of("decide"):
        path = run.store.path(record.outputs["decisions"].path)
        table = pq.read_table(path)
        rows = table.to_pylist()
        for row in rows:
            if row["doc"] == doc:
                row |= values
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
