"""A text format of another package takes part like a built-in one."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.extending.packages import install, uninstall
from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.runs.run import run

GROUP = "winnow.text_formats"


def test_a_run_writes_it_and_another_version_writes_anew(tmp_path, site):
    install(site, "plain_text", GROUP, {"txt": "FORMAT"})
    write_sample(tmp_path / "data", 20)
    documents = {"formats": ["txt", "parquet"], "columns": ["text"]}
    config = sample_config(tmp_path / "data", tmp_path / "run", documents=documents)
    context = run(parse_config(config))
    assert context.run.manifest["versions"]["text format txt"] == "winnow-plain-text 1.0"
    first = context.run.manifest["documents"]["folder"]
    folder = tmp_path / "run" / first
    files = sorted(folder.glob("*.txt"))
    assert files
    for path in files:
        rows = pq.read_table(Path(f"{folder}/{path.stem}.parquet"))
        assert path.read_text() == "".join(text + "\n\f\n" for text in rows.column("text").to_pylist())
    install(site, "plain_text", GROUP, {"txt": "FORMAT"}, "1.1")
    again = run(parse_config(config)).run.manifest["documents"]["folder"]
    assert again != first
    uninstall(site)
    with pytest.raises(ConfigError, match="'txt' is no known text format; known here: parquet, jsonl.zst"):
        parse_config(config)
