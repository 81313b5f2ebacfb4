"""`why` tells what the tables hold: every rule with its own value and threshold, for every document that failed one."""

import pyarrow.parquet as pq
import pytest

from tests.support.commands import winnow
from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from winnow import schemas
from winnow.config.config import parse_config
from winnow.finished.explain import explain, unreadable
from winnow.runs.run import run
from winnow.runs.state import load_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("why")
    write_sample(folder / "data", 60)
    rules = {"mode": "filter", "gopher_quality": {"min_words": 150}, "gopher_repetition": "off"}
    run(parse_config(sample_config(folder / "data", folder / "run", filter=rules)))
    return load_run(str(folder / "run"))


def rows_of(finished, stage: str, output: str) -> list[dict]:
    paths = [record.outputs[output].path for record in finished.records[stage]]
    return [row for path in paths for row in pq.read_table(finished.store.path(path)).to_pylist()]


def test_every_decision_and_every_failed_rule_is_told_as_the_tables_hold_it(finished):
    failed: dict[int, list[tuple]] = {}
    for row in rows_of(finished, "filter", "failures"):
        failed.setdefault(row["doc"], []).append((row["rule"], row["value"], row["threshold"]))
    decisions = rows_of(finished, "decide", "decisions")
    assert sum(row["outcome"] == schemas.FILTERED for row in decisions) > 10
    assert any(value != threshold for rules in failed.values() for _, value, threshold in rules)
    for row in decisions:
        story = explain(finished, row["doc"], with_keeper=row["outcome"] != schemas.KEPT)
        told = [(rule.rule, rule.value, rule.threshold) for rule in story.failed_rules]
        assert told == failed.get(row["doc"], [])
        assert (story.outcome, story.similarity) == (row["outcome"], row["similarity"])
        assert (story.keeper.doc if story.keeper else None) == row["keeper"]
        if row["outcome"] == schemas.FILTERED:
            assert (row["rule"], row["value"], row["threshold"]) == told[0]


def test_values_lie_on_the_wrong_side_of_their_threshold(finished):
    too_few = [row for row in rows_of(finished, "filter", "failures") if row["rule"] == "gopher_quality.min_words"]
    assert {row["threshold"] for row in too_few} == {150.0}
    texts = {}
    for part in finished.parts:
        table = pq.read_table(finished.store.path(part.documents["path"]), columns=["doc", "text"])
        texts |= {row["doc"]: row["text"] for row in table.to_pylist()}
    assert len(too_few) > 10
    for row in too_few:
        assert row["value"] < 150
        assert row["value"] == pytest.approx(len(texts[row["doc"]].split()), rel=0.2, abs=45)


def test_the_command_prints_rule_value_and_threshold_of_each(finished):
    decisions = [row for row in rows_of(finished, "decide", "decisions") if row["outcome"] == schemas.FILTERED]
    failures = rows_of(finished, "filter", "failures")
    for row in decisions[:5]:
        code, output = winnow("why", str(row["doc"]), finished.config.run)
        assert code == 0
        assert "outcome    filtered" in output
        for failure in (failure for failure in failures if failure["doc"] == row["doc"]):
            value, threshold = failure["value"], failure["threshold"]
            assert f"rule       {failure['rule']}: value {value:.6g}, threshold {threshold:.6g}" in output


def test_unreadable_records_are_told_with_their_rows(finished):
    """Lines 3 and 9 of the file, as ``write_sample`` broke them."""
    assert {record.row for record in unreadable(finished, "web-0.jsonl")} == {3, 9}
    (broken,) = unreadable(finished, "web/number")
    assert (broken.row, broken.reason) == (9, "wrong type: field 'text' is a number, expected a string")
    code, output = winnow("why", "web-0.jsonl", finished.config.run)
    assert code == 0
    assert "web-0.jsonl, row 3, byte " in output
    assert "web-0.jsonl, row 9 (web/number), byte " in output


def test_the_command_names_the_keeper_with_its_similarity(finished):
    removed = [row for row in rows_of(finished, "decide", "decisions") if row["outcome"] == schemas.NEAR_DUPLICATE]
    assert removed
    for row in removed[:5]:
        code, output = winnow("why", str(row["doc"]), finished.config.run)
        assert code == 0
        assert f"(number {row['keeper']}), similarity {row['similarity']:.4f} (of the texts)" in output


def test_what_settled_a_near_duplicate_is_told(finished, tmp_path):
    """Far from the threshold the share of equal signature entries, near it the texts themselves."""
    config = finished.config.model_dump(mode="json") | {"run": str(tmp_path / "run")}
    config["dedup"]["verify"] = "signature"
    run(parse_config(config))
    by_signature = load_run(config["run"])
    settled = by_signature.config.dedup.verification.accept_from / by_signature.config.dedup.minhash.num_perm
    told = set()
    for row in rows_of(by_signature, "decide", "decisions"):
        if row["outcome"] == schemas.NEAR_DUPLICATE:
            told.add(explain(by_signature, row["doc"]).measured_by)
            assert (explain(by_signature, row["doc"]).measured_by == "signatures") == (row["similarity"] >= settled)
    assert "signatures" in told
    removed = [row for row in rows_of(finished, "decide", "decisions") if row["outcome"] == schemas.NEAR_DUPLICATE]
    assert {explain(finished, row["doc"]).measured_by for row in removed} == {"texts"}
