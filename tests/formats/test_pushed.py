"""A pushed set, read by Hugging Face datasets as its card says."""

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest

from tests.formats.peers import read_with
from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from winnow.config.config import parse_config
from winnow.finished.hub_card import card
from winnow.finished.pushed_files import run_files
from winnow.report.sheet.croissant import croissant, schema_of
from winnow.runs.run import run
from winnow.runs.state import load_run

pytestmark = [pytest.mark.slow, pytest.mark.formats]


@pytest.mark.parametrize("kind", ["parquet", "jsonl.zst"])
def test_datasets_loads_what_the_card_says(tmp_path, kind: str) -> None:
    write_sample(tmp_path / "data")
    sections = {"documents": {"formats": [kind]}, "shards": {"sequence_tokens": 127, "splits": {"val": 0.1}}}
    run(parse_config(sample_config(tmp_path / "data", tmp_path / "run", **sections)))
    finished = load_run(str(tmp_path / "run"))
    found = run_files(finished)
    content = {file.path: file.content or finished.store.read(file.stored) for file in found.files}
    listed = ((file.path, file.size, file.sha256) for file in found.files)
    described = croissant(listed, found.manifest, "set", "", schema_of(finished), "more", "shards/")
    content |= {"README.md": card(found, "acme/set", "1"), "croissant.json": described}
    for path, data in content.items():
        (tmp_path / "set" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / path).write_bytes(data)
    read = read_with("datasets", "read_pushed", tmp_path / "out", tmp_path / "set")
    for split, described in finished.manifest["shards"]["splits"].items():
        tables = [pq.read_table(tmp_path / "set/shards" / shard["path"]) for shard in described["shards"]]
        rows = [row for table in tables for row in table.column("input_ids").to_pylist()]
        assert np.array_equal(read[f"tokens_{split}"], np.array(rows))
        # one set of configs has one kind of file, for datasets: text as JSONL beside Parquet shards is read apart
        name = "documents" if kind == "parquet" else "json"
        assert len(read[f"{name}_{split}"]) == described["documents"]
    kinds = {name.rpartition("_")[0] for name in read}
    assert kinds - {""} == {"tokens", "documents" if kind == "parquet" else "json"}
    assert read.get("croissant", np.array([])).tolist() == []
    assert orjson.loads(content["croissant.json"])["distribution"]
