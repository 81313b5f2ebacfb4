"""What splits share, against plain Python; and pairs put between splits are seen."""

import json
import shutil

import pytest

from tests.support.commands import winnow
from tests.support.configs import audited_config
from tests.support.corpora import write_documents
from tests.support.finished import alter_decisions
from tests.support.similarity import Truth, shingles
from tests.support.specification import words
from winnow import schemas
from winnow.audit.splits import audit_splits
from winnow.config.config import parse_config
from winnow.runs.run import run
from winnow.runs.state import load_run


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    return write_documents(tmp_path_factory.mktemp("splits"))


@pytest.fixture(scope="module")
def finished(documents, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    run(parse_config(audited_config(documents, folder)))
    return load_run(str(folder))


@pytest.fixture(scope="module")
def without_dedup(documents, tmp_path_factory):
    folder = tmp_path_factory.mktemp("off") / "run"
    run(parse_config(audited_config(documents, folder, dedup="off")))
    return load_run(str(folder))


def expected_pairs(truth: Truth, low: float) -> dict:
    split = {doc: row["split"] for doc, row in truth.decisions.items() if row["split"]}
    return {
        (a, b): similarity
        for (a, b), similarity in truth.similarity.items()
        if similarity >= low and a in split and b in split and split[a] != split[b]
    }


@pytest.mark.parametrize("round_shingles", [None, 1000])
@pytest.mark.parametrize("which", ["finished", "without_dedup"])
def test_overlap_is_that_of_plain_python(which, round_shingles, request, monkeypatch):
    finished = request.getfixturevalue(which)
    if round_shingles:
        monkeypatch.setattr("winnow.audit.splits.ROUND_SHINGLES", round_shingles)
    audit, truth = audit_splits(finished), Truth(finished)
    pairs = expected_pairs(truth, 0.8)
    assert bool(pairs) == (which == "without_dedup")
    assert {tuple(sorted((p.doc, p.other))): pytest.approx(p.similarity) for p in audit.pairs} == pairs
    assert audit.pairs_count == audit.at_threshold == len(pairs)
    split = {doc: row["split"] for doc, row in truth.decisions.items() if row["split"]}
    grams = {doc: shingles(truth.texts[doc], 13) if len(words(truth.texts[doc])) >= 13 else set() for doc in split}
    in_train = set().union(*(grams[doc] for doc in split if split[doc] == "train"))
    assert [o.split for o in audit.overlaps] == ["val", "test"]
    for overlap in audit.overlaps:
        mine = [doc for doc in split if split[doc] == overlap.split]
        assert overlap.documents == audit.documents[overlap.split] == len(mine)
        long = [doc for doc in mine if grams[doc]]
        assert overlap.with_ngram.of == len(long) > 0
        assert overlap.with_ngram.hits == sum(bool(grams[doc] & in_train) for doc in long)
        assert overlap.ngrams.of == sum(len(grams[doc]) for doc in mine)
        assert overlap.ngrams.hits == sum(len(grams[doc] & in_train) for doc in mine)


def test_a_pair_between_splits_is_seen(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished.store.root, folder)
    code, output = winnow("audit", "splits", str(folder))
    assert code == 0 and "0 pairs between train and val and test" in output
    truth = Truth(finished)
    near = next(
        row
        for row in truth.decisions.values()
        if row["outcome"] == schemas.NEAR_DUPLICATE
        and truth.similarity[min(row["doc"], row["keeper"]), max(row["doc"], row["keeper"])] >= 0.85
    )
    copy = load_run(str(folder))
    alter_decisions(copy, near["doc"], outcome="kept", split="val")
    alter_decisions(copy, near["keeper"], split="test")
    code, output = winnow("audit", "splits", str(folder), "--json", str(tmp_path / "a.json"))
    assert code == 1
    figures = json.loads((tmp_path / "a.json").read_text())
    assert figures["at_threshold"] >= 1
    assert {near["doc"], near["keeper"]} in [{pair["doc"], pair["other"]} for pair in figures["pairs"]]
    assert "\x1b[31m" not in output + (folder / "audit" / "splits.html").read_text()


def test_a_threshold_above_the_pairs_is_no_fault(documents, tmp_path):
    """Pairs from 0.8 on are shown; only those at the run's own threshold are a fault."""
    config = audited_config(documents, tmp_path / "run", dedup={"threshold": 1.0, "minhash": {"bands": 1, "rows": 256}})
    run(parse_config(config))
    audit = audit_splits(load_run(str(tmp_path / "run")))
    assert audit.pairs_count > 0 and audit.at_threshold == 0
    assert winnow("audit", "splits", str(tmp_path / "run"))[0] == 0
