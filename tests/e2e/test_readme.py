"""What the README shows first is run: its four-line config, its Python, its operator."""

import json
import re
import sys
from pathlib import Path

import yaml

import winnow
from tests.support.corpora import articles

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(section: str, language: str) -> list[str]:
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## )", README, re.MULTILINE | re.DOTALL)
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def write_documents(folder: Path) -> None:
    rows = [{"id": str(number), "text": text} for number, text in enumerate(articles(3, 60))]
    (folder / "docs").mkdir()
    (folder / "docs" / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))


def test_the_first_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_documents(tmp_path)
    (config,), (code,) = blocks("A first run", "yaml"), blocks("A first run", "python")
    assert len(config.strip().splitlines()) == 4
    settings = yaml.safe_load(config) | {"compute": {"executor": "inline"}}
    (tmp_path / "first.yaml").write_text(yaml.safe_dump(settings))
    names: dict = {}
    exec(code, names)
    assert names["tokens"].shape == (2, 1024)
    assert names["story"].outcome in names["run"].outcomes
    assert winnow.open("runs/first").summary() == names["run"].summary()


def test_the_operator_and_the_rules(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_documents(tmp_path)
    (code,), (config,) = blocks("Your own code", "python"), blocks("Your own code", "yaml")
    (tmp_path / "my_ops.py").write_text(code)
    settings = yaml.safe_load(config)
    base = yaml.safe_load(blocks("A first run", "yaml")[0])
    values = base | settings | {"compute": {"executor": "inline"}}
    (tmp_path / "first.yaml").write_text(yaml.safe_dump(values))
    run = winnow.run(tmp_path / "first.yaml")
    assert "exclamation_share" in run.table("signals").schema.names
    assert "my_ops" not in sys.modules
