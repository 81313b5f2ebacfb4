"""The archives of other projects, broken ones among them, in one command: what was read, by kind, as warcio counts it;
and the documents that are exported are those of the shards."""

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
import zstandard
from warcio.archiveiterator import ArchiveIterator

from tests.sources.web.test_framing import BROKEN, FAULTS_OF_OTHERS
from tests.support.commands import winnow
from winnow.config.load import load_config
from winnow.runs.run import load_run_vocabulary
from winnow.runs.state import load_run

KINDS = {"request": "request", "warcinfo": "warcinfo", "metadata": "metadata", "revisit": "revisit"}


def warcio_counts(paths: list[Path]) -> Counter[str]:
    found: Counter[str] = Counter()
    for path in paths:
        for record in ArchiveIterator(io.BytesIO(path.read_bytes()), arc2warc=True):
            status = record.http_headers.get_statuscode() if record.http_headers else ""
            refused = record.rec_type == "response" and status.startswith(("3", "4", "5"))
            told = f"response with status {status[0]}xx" if refused else "another"
            found[KINDS.get(record.rec_type, told)] += 1
    return found


@pytest.mark.slow
def test_the_archives_of_other_projects(shared, tmp_path) -> None:
    every = [path for path in sorted((shared / "warc").glob("*/*")) if path.suffix in (".gz", ".warc", ".arc")]
    right = [path for path in every if path.name not in BROKEN | FAULTS_OF_OTHERS]
    sources = [
        {"name": "right", "path": [str(path) for path in right], "keep": ["url", "extraction"]},
        {"name": "broken", "path": [str(path) for path in every if path not in right]},
    ]
    config = {
        "run": str(tmp_path / "run"),
        "sources": sources,
        "shards": {"sequence_tokens": 255},
        "report": False,
        "compute": {"executor": "inline", "max_unreadable_share": 0.2},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    code, said = winnow("run", str(tmp_path / "run.yaml"))
    assert code == 0, said
    finished = load_run(str(tmp_path / "run"))
    passed = finished.manifest["sources"]["right"]["no_documents"]
    theirs = warcio_counts(right)
    for what in (*KINDS, "response with status 3xx"):
        assert passed[what] == theirs[what] > 0, what
    outcomes = finished.manifest["sources"]["right"]["outcomes"]
    assert sum(passed.values()) + sum(outcomes.values()) == theirs.total() == 685 and not outcomes["unreadable"]
    assert finished.manifest["sources"]["broken"]["outcomes"]["unreadable"] >= len(BROKEN)
    assert f"source right: {sum(passed.values()):,} records in its files are not documents" in said

    code, said = winnow("export", "documents", str(tmp_path / "run"), "--format", "jsonl.zst", "--column", "text")
    assert code == 0, said
    files = sorted((tmp_path / "run" / "documents").rglob("*.jsonl.zst"))
    lines = b"".join(zstandard.ZstdDecompressor().stream_reader(path.open("rb")).read() for path in files)
    exported = [json.loads(line)["text"] for line in lines.splitlines()]
    (shard,) = (tmp_path / "run").glob("shards/*/train-*.parquet")
    ids = pq.read_table(shard).column("input_ids").combine_chunks().flatten().to_numpy()
    vocabulary = load_run_vocabulary(load_config(str(tmp_path / "run.yaml")))
    ends = np.flatnonzero(ids == vocabulary.end_of_text)[: finished.total("shuffle", "documents/train")]
    starts = [0, *(ends[:-1] + 1)]
    assert exported == [vocabulary.decode(ids[a:b]).decode() for a, b in zip(starts, ends, strict=True)]
    assert len(exported) > 20
