"""Nightly runs over one index: the same documents, file by file, as one run has them all at once."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import zstandard

from winnow.runs.state import load_run
from winnow.stages.tables import read_parquet


def real_lines(shared: Path, every: int, of: int = 0) -> list[str]:
    """Every n-th record of the shared corpus, in its order."""
    lines = []
    number = 0
    for path in sorted((shared / "corpus").glob("[01]*.jsonl.zst")):
        data = zstandard.ZstdDecompressor().stream_reader(path.open("rb")).read()
        for line in data.split(b"\n"):
            if line:
                if number % every == of:
                    lines.append(line.decode())
                number += 1
    return lines


def write_nights(folder: Path, lines: list[str], nights: int) -> list[Path]:
    """The records in as many files, in an order that spreads near neighbours over nights."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for night in range(nights):
        files.append(folder / f"night-{night:02d}.jsonl")
        files[-1].write_text("\n".join(lines[night::nights]) + "\n")
    return files


def night_config(run: Path, files: list[Path], index: Path | None, **sections) -> dict:
    dedup = {"keep": ["first"], "index": None if index is None else str(index)} | sections.pop("dedup", {})
    return {
        "run": str(run),
        "sources": [{"name": "s", "path": [str(file) for file in files], "id": "id"}],
        "filter": {"mode": "annotate"},
        "dedup": dedup,
        "shards": {"sequence_tokens": 127, "splits": {"val": 0.1}},
        **sections,
        "compute": {"executor": "inline"} | sections.get("compute", {}),
    }


def ledger(run: Path) -> dict[str, dict]:
    """Every decision of a finished run, by the document's id."""
    finished = load_run(str(run))
    rows = {}
    for part, decided in zip(finished.parts, finished.of("decide"), strict=True):
        ids = read_parquet(finished.store, part.documents, ["id"]).column("id").to_pylist()
        table = pq.read_table(finished.store.path(decided.outputs["decisions"].path)).to_pylist()
        rows |= dict(zip(ids, table, strict=True))
    return rows


def renamed(texts: list[str]) -> list[str]:
    """Records with an id of their own for each text."""
    return [json.dumps({"id": f"d{number}", "text": text}) for number, text in enumerate(texts)]
