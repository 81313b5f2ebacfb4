"""No document is removed unless a kept one has verified similarity: checked on every removed document of real text."""

from collections import Counter
from dataclasses import replace

import datasketch
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.configs import files_config
from tests.support.corpora import write_part
from tests.support.finished import texts_and_decisions
from tests.support.similarity import jaccard, shingle_hash, shingles
from winnow import schemas
from winnow.audit.verify.similarity import check_similarities
from winnow.config.config import parse_config
from winnow.finished.explain import explain
from winnow.runs.run import run
from winnow.runs.state import load_run

REMOVED = (schemas.EXACT_DUPLICATE, schemas.NEAR_DUPLICATE)


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    """Manuals in several versions (English, Japanese), a site of generated pages, mail."""
    sizes = {"03-rust": 7e6, "04-kafka": 5e6, "10-spam": 2e6, "12-php-doc-ja": 5e6}
    return write_part(shared, tmp_path_factory.mktemp("real") / "data", sizes)


@pytest.fixture(scope="module", params=[pytest.param("signature", marks=pytest.mark.slow), "exact"])
def finished(request, real, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "run"
    run(parse_config(files_config(real, folder, verify=request.param)))
    return load_run(str(folder))


def test_every_removed_document_has_a_kept_keeper_of_verified_similarity(finished):
    verify, threshold = finished.config.dedup.verify, finished.config.dedup.threshold
    texts, decisions = texts_and_decisions(finished)
    removed = [row for row in decisions.values() if row["outcome"] in REMOVED]
    counts = Counter(row["outcome"] for row in removed)
    assert counts[schemas.EXACT_DUPLICATE] > 20 and counts[schemas.NEAR_DUPLICATE] > 100
    sets = {doc: shingles(texts[doc]) for row in removed for doc in (row["doc"], row["keeper"])}
    sketches = {}
    for doc, own in sets.items() if verify == "signature" else ():
        sketch = datasketch.MinHash(256, seed=1, hashfunc=int)
        sketch.update_batch([shingle_hash(run) for run in own])
        sketches[doc] = sketch.hashvalues
    truly, settled = [], Counter()
    for row in removed:
        doc, keeper = row["doc"], row["keeper"]
        assert decisions[keeper]["outcome"] == schemas.KEPT
        assert row["similarity"] >= np.float32(threshold)
        if row["outcome"] == schemas.EXACT_DUPLICATE:
            assert texts[doc] == texts[keeper] and row["similarity"] == 1.0
            continue
        truly.append(jaccard(sets[doc], sets[keeper]))
        share = (sketches[doc] == sketches[keeper]).mean() if verify == "signature" else 0.0
        settled[share >= 0.875] += 1  # 0.8 and three standard errors of the estimate
        if share >= 0.875:
            assert row["similarity"] == np.float32(share)
        elif row["similarity"] != np.float32(truly[-1]):  # two shingles of the pair with the same 32-bit hash
            hashed = [{shingle_hash(run) for run in sets[doc]} for doc in (doc, keeper)]
            assert len(hashed[0] | hashed[1]) < len(sets[doc] | sets[keeper])
            assert row["similarity"] == np.float32(jaccard(*hashed))
    if verify == "exact":
        assert min(truly) >= threshold
    else:
        assert np.mean(np.array(truly) >= threshold) >= 0.999
        assert min(settled[True], settled[False]) > 50


def test_verify_checks_a_sample_again_from_the_texts(finished, tmp_path):
    balance = check_similarities(finished)
    assert balance.expected == balance.found == 256
    assert check_similarities(finished, sample=100_000).expected > 500


def with_altered_ledger(finished, folder, change):
    """A copy of the ledger's files in which ``change`` was made to the first near-duplicate of every part."""
    records = []
    for number, record in enumerate(finished.of("decide")):
        output = record.outputs["decisions"]
        table = pq.read_table(finished.store.path(output.path))
        rows = [row["outcome"] == schemas.NEAR_DUPLICATE for row in table.to_pylist()]
        columns = {name: table.column(name).to_pylist() for name in ("similarity", "keeper", "doc")}
        if any(rows):
            change(columns, rows.index(True))
        for name, values in columns.items():
            index = table.schema.get_field_index(name)
            table = table.set_column(index, table.schema.field(name), pa.array(values, table.schema.field(name).type))
        pq.write_table(table, folder / f"{number}.parquet")
        altered = replace(output, path=str(folder / f"{number}.parquet"))
        records.append(replace(record, outputs={"decisions": altered}))
    return replace(finished, records=finished.records | {"decide": records})


def test_verify_sees_another_similarity(finished, tmp_path):
    def change(columns, row):
        columns["similarity"][row] -= 0.01 if columns["similarity"][row] > 0.9 else -0.01

    balance = check_similarities(with_altered_ledger(finished, tmp_path, change), sample=100_000)
    assert 0 < balance.expected - balance.found <= len(finished.parts)


def test_verify_sees_another_keeper(finished, tmp_path):
    def change(columns, row):
        columns["keeper"][row] = next(doc for doc in columns["doc"] if doc not in columns["keeper"])

    balance = check_similarities(with_altered_ledger(finished, tmp_path, change), sample=100_000)
    assert 0 < balance.expected - balance.found <= len(finished.parts)


def test_why_tells_what_a_similarity_is(finished):
    """Of the two texts where `verify` says so, and an estimate where signatures settled the pair."""
    _, decisions = texts_and_decisions(finished)
    near = [row for row in decisions.values() if row["outcome"] == schemas.NEAR_DUPLICATE]
    told = Counter()
    for row in near[:40]:
        story = explain(finished, row["doc"])
        told[story.measured_by] += 1
        if story.measured_by == "signatures":  # a share of 256 entries, three standard errors above the threshold
            assert row["similarity"] >= 0.875 and row["similarity"] * 256 == round(row["similarity"] * 256)
    assert set(told) == ({"texts"} if finished.config.dedup.verify == "exact" else {"texts", "signatures"})


def test_sizes_of_units_and_partitions_change_no_fate(finished, real, tmp_path):
    settings = files_config(real, tmp_path / "run", verify=finished.config.dedup.verify)
    settings["compute"] |= {"unit_mb": 16, "partition_mb": 64}
    run(parse_config(settings))
    other = load_run(str(tmp_path / "run"))
    assert len(other.of("keepers")) == 1 < len(finished.of("keepers"))
    assert texts_and_decisions(other)[1] == texts_and_decisions(finished)[1]


def test_partitions_follow_from_the_bytes_that_are_sent(finished):
    gathered = [record.outputs["candidates"].bytes for record in finished.of("candidates")]
    partition_bytes = finished.config.compute.partition_mb * 1_000_000
    # signatures and set sizes are known before; the sets themselves have fewer shingles, repeats left out
    assert 0.5 * partition_bytes < sum(gathered) / len(finished.of("keepers")) <= partition_bytes
    assert "candidate_sizes" in finished.records
