"""docs/encryption.md as it stands there: its config, its commands, its programs."""

import json
import re
from pathlib import Path

import pytest
import yaml

from jobs.exit_codes import OK
from tests.support.commands import winnow
from tests.support.corpora import articles
from winnow.config.config import parse_config
from winnow.runs.state import load_run
from winnow.storage.keys import new_key

pytest.importorskip("cryptography", reason="cryptography is not installed (extra `encryption`)")
PAGE = (Path(__file__).parents[2] / "docs/encryption.md").read_text()


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def test_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WINNOW_KEY", new_key())
    (tmp_path / "mail").mkdir()
    rows = "".join(json.dumps({"text": text}) + "\n" for text in articles(2, 400))
    (tmp_path / "mail/a.jsonl").write_text(rows)
    config, sse = blocks("yaml")
    (tmp_path / "encrypted.yaml").write_text(config)
    lines = [line.partition("#")[0].split() for block in blocks("") for line in block.splitlines()]
    told = {line[1]: line[2:] for line in lines if line and line[0] == "winnow"}
    assert told.keys() == {"key", "run", "verify", "decrypt"}
    for command in ("key", "run", "verify", "decrypt"):
        code, text = winnow(command, *told[command])
        assert code == OK, text
    parse_config({**yaml.safe_load(config), **yaml.safe_load(sse)})
    program, read_encrypted = blocks("python")
    found = load_run("runs/encrypted")
    monkeypatch.setenv("PARQUET_KEY", winnow("key", "--for", "parquet")[1].strip())
    names: dict = {}
    exec(read_encrypted, names)
    shard = found.manifest["shards"]["splits"]["train"]["shards"][0]
    assert names["read"](found.store.path(f"{found.shards}/{shard['path']}")).num_rows == shard["rows"]
    pytest.importorskip("torch", reason="torch is not installed")
    exec(program, names)
    assert names["tokens"].shape == (8, 128)


def test_every_setting_stands_there():
    for name in ("key", "command", "key_id", "work", "sse", "sse_kms_key_id"):
        assert re.search(rf"\b{name}\b", PAGE)
