"""Measure compares a sample of its signatures with datasketch in every unit."""

import json

import numpy as np
import yaml

from tests.support.commands import winnow
from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from winnow.runs.state import load_run
from winnow.stages.ingest import measure


def test_every_unit_compares_some_and_the_summary_says_how_many(tmp_path):
    write_sample(tmp_path / "data", 40)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(sample_config(tmp_path / "data", tmp_path / "run")))
    code, output = winnow("run", str(tmp_path / "c.yaml"))
    assert code == 0, output
    checked = [
        record.counters.get("signatures_checked", 0) for record in load_run(str(tmp_path / "run")).records["measure"]
    ]
    assert checked and all(checked)
    assert f"signatures checked against datasketch on {sum(checked):,} documents" in output


def test_a_wrong_signature_ends_the_run_and_names_the_document(tmp_path, monkeypatch):
    texts = [f"text {n} of the corpus, with a few words of its own" for n in range(20)]
    lines = [json.dumps({"id": f"doc-{n}", "text": text}) for n, text in enumerate(texts)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    config = {
        "run": str(tmp_path / "run"),
        "sources": [{"name": "a", "path": str(tmp_path / "a.jsonl"), "id": "id"}],
        "compute": {"executor": "inline", "attempts": 2},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    right = measure.signatures

    def wrong(*arguments):
        signatures = right(*arguments)
        signatures[0, 17] ^= np.uint32(1)
        return signatures

    monkeypatch.setattr(measure, "signatures", wrong)
    code, output = winnow("run", str(tmp_path / "c.yaml"))
    assert code == 1
    assert "document 'doc-0' (number 0) has another signature than datasketch gives it, from entry 17 of 256" in output
    assert "quarantine" not in output and not list((tmp_path / "run").rglob("*.unreadable.parquet"))
    monkeypatch.setattr(measure, "signatures", right)
    assert winnow("run", str(tmp_path / "c.yaml"))[0] == 0
