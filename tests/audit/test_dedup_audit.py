"""The audit of deduplication against plain Python, and whether it sees what it must see."""

import json
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.support.commands import winnow
from tests.support.configs import audited_config
from tests.support.corpora import HOSTILE, write_documents
from tests.support.finished import alter_decisions
from tests.support.similarity import Truth
from winnow import schemas
from winnow.audit.clusters import largest_clusters
from winnow.audit.dedup import SampleSizes, audit_dedup
from winnow.audit.documents import components_of, draw
from winnow.audit.planted import EDITS, measure_planted
from winnow.audit.twins import curve_bins, twin_similarities
from winnow.config.config import parse_config
from winnow.dedup.bands import candidate_probability
from winnow.errors import NothingToAuditError
from winnow.flow.records import RunRecords
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.stages.tables import list_column_to_2d, read_ipc

REMOVED = (schemas.EXACT_DUPLICATE, schemas.NEAR_DUPLICATE)
EVERYTHING = SampleSizes(documents=1_000_000, planted=50)
WIDE = {"num_perm": 64, "bands": 8, "rows": 8}  # so few bands that pairs are missed


@pytest.fixture(scope="module")
def documents(tmp_path_factory) -> Path:
    return write_documents(tmp_path_factory.mktemp("audit"))


def finish(documents: Path, folder: Path, **dedup) -> RunRecords:
    run(parse_config(audited_config(documents, folder, dedup=dedup)))
    return load_run(str(folder))


@pytest.fixture(
    scope="module",
    params=[pytest.param("signature", marks=pytest.mark.slow), "exact", "estimate", "few bands", "lower"],
)
def finished(request, documents, tmp_path_factory) -> RunRecords:
    dedup = {"few bands": {"minhash": WIDE}, "lower": {"threshold": 0.62}}.get(request.param) or {
        "verify": request.param
    }
    return finish(documents, tmp_path_factory.mktemp("run") / "run", **dedup)


@pytest.fixture(scope="module")
def truth(finished) -> Truth:
    return Truth(finished)


@pytest.fixture(scope="module")
def audit(finished):
    return audit_dedup(finished, EVERYTHING, seed=1)


def band_met(finished: RunRecords) -> set[tuple[int, int]]:
    """Pairs whose signatures agree in all rows of a band, looked up in the signatures themselves."""
    minhash = finished.config.dedup.minhash
    tables = [read_ipc(finished.store, part.signatures) for part in finished.parts]
    signed = {
        doc: signature[: minhash.bands * minhash.rows].reshape(-1, minhash.rows)
        for table in tables
        for doc, signature in zip(
            table.column("doc").to_pylist(), list_column_to_2d(table, "signature", minhash.num_perm), strict=True
        )
    }
    return {(a, b) for a, b in combinations(sorted(signed), 2) if (signed[a] == signed[b]).all(axis=1).any()}


def test_precision_is_that_of_plain_python(finished, truth, audit):
    removed = {doc: row for doc, row in truth.decisions.items() if row["outcome"] in REMOVED}
    near = {doc: row for doc, row in removed.items() if row["outcome"] == schemas.NEAR_DUPLICATE}
    assert len(near) > 20
    true = {doc: truth.similarity[min(doc, row["keeper"]), max(doc, row["keeper"])] for doc, row in near.items()}
    threshold = finished.config.dedup.threshold
    alike = sum(similarity >= threshold for similarity in true.values())
    assert (audit.removed.documents, audit.removed.near.hits, audit.removed.near.of) == (len(removed), alike, len(near))
    assert audit.removed.all.hits == alike + len(removed) - len(near)
    assert audit.removed.lowest == pytest.approx(min(true.values()))
    assert audit.removed.below[0][1] == len(near) - alike
    assert audit.guaranteed
    if finished.config.dedup.verify == "exact":
        assert audit.removed.all.share == 1.0


def test_recall_is_that_of_plain_python(finished, truth, audit):
    docs = sorted(truth.texts)
    threshold = finished.config.dedup.threshold
    assert [recall.similarity for recall in audit.twins.recall] == [pytest.approx(threshold + 0.05), threshold]
    component = dict(zip(docs, components_of(finished, np.array(docs, np.uint64)).tolist(), strict=True))
    for recall in audit.twins.recall:
        pairs = truth.pairs(recall.similarity)
        twins = {doc for pair in pairs for doc in pair}
        left = {pair for pair in pairs if truth.kept(pair[0]) and truth.kept(pair[1])}
        unmet = {pair for pair in left if component[pair[0]] != component[pair[1]]}
        assert len(twins) > 40
        assert recall.removed.of == recall.joined.of == len(twins)
        assert recall.removed.hits == len(twins - {doc for pair in left for doc in pair})
        assert recall.joined.hits == len(twins - {doc for pair in unmet for doc in pair})
    assert audit.twins.left_pairs_count == len(left)
    assert {tuple(sorted((p.doc, p.twin))) for p in audit.twins.left_pairs} == left
    assert {tuple(sorted((p.doc, p.twin))) for p in audit.twins.left_pairs if not p.compared} == unmet
    assert audit.twins.copies_left == 0
    if finished.config.dedup.minhash.bands == 8:
        assert unmet, "too few bands, and nothing was missed: the test shows nothing"


def test_the_curve_counts_every_pair(finished, truth, audit):
    met = band_met(finished)
    alone = {doc for doc in truth.passed if not truth.sets[doc]}
    pairs = {pair: truth.similarity[pair] for pair in truth.pairs(0.0)}
    assert finished.config.dedup.threshold in [one.low for one in audit.twins.curve]
    first = {}  # of several documents of one text, the sample holds the text once
    for doc in sorted(truth.passed):
        first.setdefault(truth.texts[doc], doc)
    for n, one in enumerate(audit.twins.curve):
        last = n == len(audit.twins.curve) - 1
        inside = {p for p, s in pairs.items() if one.low <= s < one.high or (last and s == 1.0)}
        directed = [(a, b) for p in inside for a, b in (p, p[::-1]) if first[truth.texts[a]] == a]
        assert one.pairs == len(directed)
        hits = [(a, b) for a, b in directed if (min(a, b), max(a, b)) in met and not {a, b} & alone]
        assert one.met.hits == len(hits)
        if n and directed:
            theory = np.mean(
                [candidate_probability(pairs[min(p), max(p)], finished.config.dedup.minhash) for p in directed]
            )
            assert one.theory == pytest.approx(float(theory))
    assert sum(one.pairs for one in audit.twins.curve[1:]) > 200


def test_the_largest_clusters(finished, truth):
    members: dict[int, list[int]] = {}
    for doc, row in truth.decisions.items():
        if row["keeper"] is not None:
            members.setdefault(row["keeper"], []).append(doc)
    expected = sorted(((-len(docs), keeper) for keeper, docs in members.items()))[:5]
    clusters = largest_clusters(finished, 5, 100)
    assert [(1 - c.documents, c.keeper) for c in clusters] == [(size, keeper) for size, keeper in expected]
    for cluster in clusters:
        recorded = [truth.decisions[doc]["similarity"] for doc in members[cluster.keeper]]
        assert (cluster.lowest, cluster.highest) == (min(recorded), max(recorded))
        assert truth.decisions[cluster.other]["similarity"] == cluster.lowest
        assert cluster.other_similarity == pytest.approx(
            1.0
            if truth.texts[cluster.keeper] == truth.texts[cluster.other]
            else truth.similarity[min(cluster.keeper, cluster.other), max(cluster.keeper, cluster.other)]
        )
        assert truth.texts[cluster.keeper][cluster.shown_from :].startswith(cluster.keeper_text)
        assert len(cluster.keeper_text) <= 100
        assert cluster.keeper_text != cluster.other_text or truth.texts[cluster.keeper] == truth.texts[cluster.other]


def test_samples_are_uniform_seeded_and_of_any_size(finished, truth):
    everything = draw(finished, lambda rows: rows.passed, 10**6, 1)
    assert set(everything.tolist()) == truth.passed
    some = draw(finished, lambda rows: rows.passed, 30, 1)
    assert len(some) == 30 and set(some.tolist()) <= truth.passed
    assert np.array_equal(some, draw(finished, lambda rows: rows.passed, 30, 1))
    assert not np.array_equal(some, draw(finished, lambda rows: rows.passed, 30, 2))
    assert set(some.tolist()) <= set(draw(finished, lambda rows: rows.passed, 60, 1).tolist())
    small = audit_dedup(finished, SampleSizes(documents=30, removed=5, planted=3, clusters=1), seed=1)
    assert small == audit_dedup(finished, SampleSizes(documents=30, removed=5, planted=3, clusters=1), seed=1)
    assert (small.twins.documents, small.removed.documents, len(small.clusters)) == (30, 5, 1)


@pytest.mark.parametrize("mode", ["signature", "exact"])
def test_planted_copies_meet_as_often_as_the_formula_says(documents, tmp_path, mode):
    finished = finish(documents, tmp_path / "run", verify=mode)
    rng = np.random.default_rng(1)
    words = {n: rng.integers(0, 2**64, int(rng.integers(50, 400)), np.uint64) for n in range(800)}
    planted = measure_planted(finished, words, seed=3)
    assert len(planted.kinds) == len(EDITS)
    for kind in planted.kinds:  # independent documents, so the formula must lie well within chance
        error = np.sqrt(max(kind.theory * (1 - kind.theory), 1e-3) / kind.copies)
        assert abs(kind.met.share - kind.theory) < 4.5 * error, kind.edit
        if mode == "exact":
            assert kind.wrongly_found == 0
    by_name = {kind.edit: kind for kind in planted.kinds}
    assert by_name["two halves swapped"].mean_similarity > 0.9
    assert by_name["cut to 50 %"].mean_similarity == pytest.approx(0.5, abs=0.02)
    assert sum(one.met.of for one in planted.bins) == 800 * len(EDITS)


def tampered(finished: RunRecords, folder: Path) -> RunRecords:
    shutil.copytree(finished.store.root, folder)
    return load_run(str(folder))


def a_near_duplicate(truth: Truth) -> dict:
    return next(row for row in truth.decisions.values() if row["outcome"] == schemas.NEAR_DUPLICATE)


@pytest.mark.parametrize("fault", ["other keeper", "keeper dropped", "similarity", "no keeper", "no such", "not equal"])
def test_a_broken_guarantee_is_seen(finished, truth, tmp_path, fault):
    copy = tampered(finished, tmp_path / "run")
    row = a_near_duplicate(truth)
    doc, keeper = row["doc"], row["keeper"]
    kept = [other for other in sorted(truth.texts) if truth.kept(other) and other != keeper]
    unlike = next(other for other in kept if truth.similarity[min(other, doc), max(other, doc)] < 0.3)
    change, message = {
        "other keeper": ((doc, {"keeper": unlike}), "below the threshold"),
        "keeper dropped": ((keeper, {"outcome": "filtered", "split": None}), "is not kept"),
        "similarity": ((doc, {"similarity": row["similarity"] - 0.01}), "computed again"),
        "no keeper": ((doc, {"keeper": None}), "no document of this run"),
        "no such": ((doc, {"keeper": 12345 << 32}), "no document of this run"),
        "not equal": ((doc, {"outcome": "exact_duplicate"}), "texts differ"),
    }[fault]
    alter_decisions(copy, change[0], **change[1])
    code, output = winnow("audit", "dedup", str(tmp_path / "run"), "--json", str(tmp_path / "a.json"))
    assert code == 1
    assert "THE GUARANTEE IS BROKEN" in output and message in output
    violations = json.loads((tmp_path / "a.json").read_text())["removed"]["violations"]
    assert doc in [violation["doc"] for violation in violations]
    assert message in (tmp_path / "run" / "audit" / "dedup.html").read_text()


def test_the_command(finished, tmp_path):
    code, output = winnow(
        "audit", "dedup", finished.store.root, "--json", str(tmp_path / "a.json"), "--html", str(tmp_path / "a.html")
    )
    assert code == 0, output
    for part in ("The guarantee holds", "Precision", "Recall", "Chance to meet", "Planted", "Largest clusters"):
        assert part in output, part
    page = (tmp_path / "a.html").read_text()
    for text in (output, page, (tmp_path / "a.json").read_text()):
        assert "\x1b[31m" not in text
    assert "&lt;script&gt;" in page and "<script" not in page
    assert HOSTILE.split("\x1b")[0] in output  # on a terminal it is text
    assert json.loads((tmp_path / "a.json").read_text())["removed"]["near"]["share"] > 0.5


def test_what_cannot_be_audited_is_said(documents, tmp_path):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(audited_config(documents, tmp_path / "run", dedup="off")))
    assert winnow("run", str(tmp_path / "c.yaml"))[0] == 0
    code, output = winnow("audit", "dedup", str(tmp_path / "run"))
    assert code == 2 and "dedup: off" in output
    assert winnow("audit", "dedup", str(tmp_path / "nothing"))[0] == 2


def test_documents_of_which_none_took_part(documents, tmp_path):
    nothing = {"filter": {"mode": "filter", "gopher_quality": {"min_words": 10**6, "max_words": 10**7}}}
    run(parse_config(audited_config(documents, tmp_path / "run", **nothing)))
    with pytest.raises(NothingToAuditError, match="no document took part"):
        audit_dedup(load_run(str(tmp_path / "run")), EVERYTHING, 1)


def test_a_source_of_copies_raises_both_alarms(documents, tmp_path):
    text = json.loads(documents.read_text().splitlines()[0])["text"]
    copies = [json.dumps({"id": str(n), "text": text + f" {n}"}) for n in range(40)]
    (tmp_path / "copies.jsonl").write_text("\n".join(copies) + "\n")
    config = audited_config(documents, tmp_path / "run")
    config["sources"].append({"name": "copies", "path": str(tmp_path / "copies.jsonl"), "id": "id"})
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    for _ in range(2):  # the second run computes nothing, and says the same
        code, output = winnow("run", str(tmp_path / "c.yaml"))
        assert code == 0
        lines = " ".join(output.split())
        assert "ALARM: source copies lost 40 of 40 documents (100.0%)" in lines
        assert "ALARM: the largest cluster of source copies holds 40 of 40 documents (100.0%)" in lines
        observed = json.loads((tmp_path / "run" / "observed.json").read_text())["alarms"]
        told = [(alarm["kind"], alarm["about"]) for alarm in observed if "40 of 40" in alarm["what"]]
        assert told == [("duplicates", "copies"), ("cluster", "copies")]
    code, output = winnow("audit", "dedup", str(tmp_path / "run"))
    assert code == 0 and "ALARM: source copies lost" in output


def test_documents_removed_for_an_earlier_run_are_told_apart(documents, tmp_path):
    lines = documents.read_text().splitlines()
    runs = []
    for night in range(2):
        (tmp_path / f"{night}.jsonl").write_text("\n".join(lines[night::2]) + "\n")
        dedup = {"index": str(tmp_path / "index")}
        runs.append(finish(tmp_path / f"{night}.jsonl", tmp_path / f"run{night}", **dedup))
    audit = audit_dedup(runs[1], EVERYTHING, seed=1)
    decisions = Truth(runs[1]).decisions.values()
    removed = [row for row in decisions if row["outcome"] in REMOVED]
    earlier = [row for row in removed if row["keeper"] >= 2**63]
    assert audit.guaranteed
    assert 0 < audit.removed.kept_by_earlier_runs == len(earlier) < len(removed)
    assert audit.removed.all.of == len(removed) - len(earlier)
    assert any(cluster.keeper >= 2**63 and cluster.other_similarity is None for cluster in audit.clusters)
    code, output = winnow("audit", "dedup", runs[1].store.root)
    assert code == 0 and f"{len(earlier):,} more were removed for documents of earlier runs" in output
    alter_decisions(runs[1], earlier[0]["doc"], similarity=0.5)
    assert not audit_dedup(runs[1], EVERYTHING, seed=1).guaranteed


@pytest.mark.parametrize("threshold", [0.05, 0.2, 0.8, 0.825, 0.97, 1.0])
def test_the_curve_begins_below_any_threshold(threshold):
    bins, similarities = curve_bins(threshold), twin_similarities(threshold)
    assert bins[0] <= threshold == min(similarities) and max(similarities) <= 1.0
    assert (np.diff(bins) > 0).all() and bins[-1] < 1.0 and (threshold in bins or threshold == 1.0)
