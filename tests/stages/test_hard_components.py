"""Whole components that are hard by themselves, through the real stages: copies, near-copies, one template."""

import sys

import numpy as np
import pytest

from benchmarks.dedup_slabs import SlabEngine
from benchmarks.dedup_tables import (
    UnwrittenStore,
    WatchedEngine,
    clusters_of,
    deduplicate,
    fates,
    make_parts,
    restart_peak,
)
from winnow import schemas
from winnow.dedup.config import DedupConfig
from winnow.engine.config import ComputeConfig
from winnow.engine.stage import peak_memory_mb
from winnow.storage.local_store import LocalStore

SLOW = pytest.mark.slow


def outcome(folder, documents, change, **compute):
    """What the stages decided, and what each took."""
    engine = WatchedEngine(LocalStore(str(folder)), ComputeConfig(executor="inline", **compute))
    committed = deduplicate(engine, *make_parts(engine, documents, DedupConfig().minhash, 4000, change))
    return fates(engine, committed["keepers"]), {summary.name: summary for summary in engine.summaries}


@pytest.mark.parametrize("documents", [30_000, pytest.param(1_000_000, marks=SLOW)])
def test_copies_of_one_text(documents, tmp_path):
    restart_peak()
    before_mb = peak_memory_mb()
    found, stages = outcome(tmp_path, documents, 0.0)
    assert found["doc"].tolist() == list(range(documents))
    stays = np.flatnonzero(found["keeper"] == schemas.NO_DOC)
    assert len(stays) == 1
    removed = np.delete(np.arange(documents), stays)
    assert (found["keeper"][removed] == stays[0]).all()
    assert (found["exact"][removed] == 1).all() and (found["similarity"][removed] == 1).all()
    # a signature is a kilobyte: a million of them would not fit
    assert stages["keepers"].peak_memory_mb - before_mb < 700
    assert stages["edges"].peak_memory_mb - before_mb < 1500


@pytest.mark.parametrize("documents", [10_000, pytest.param(100_000, marks=SLOW)])
def test_near_copies_of_one_text(documents, tmp_path):
    found, _ = outcome(tmp_path, documents, 0.05)  # 0.90 alike: three standard errors and more above the threshold
    assert len(found["doc"]) == documents and len(np.unique(found["component"])) == 1
    stays = np.flatnonzero(found["keeper"] == schemas.NO_DOC)
    assert len(stays) <= 1 + documents // 1000
    removed = found["keeper"] != schemas.NO_DOC
    assert np.isin(found["keeper"][removed], found["doc"][stays]).all()
    assert (found["similarity"][removed] >= np.float32(0.8)).all() and not found["exact"].any()


def test_pages_of_one_template_are_compared_with_who_stays(tmp_path):
    """Just under the threshold: most stay, and whoever goes has a keeper that stays."""
    found, _ = outcome(tmp_path, 3000, 0.13)
    stays = found["keeper"] == schemas.NO_DOC
    assert 0.3 < stays.mean() < 1
    assert np.isin(found["keeper"][~stays], found["doc"][stays]).all()


def test_a_corpus_of_clusters_is_the_same_for_any_sizes(tmp_path):
    one, _ = outcome(tmp_path / "one", 20_000, None)
    other, stages = outcome(tmp_path / "other", 20_000, None, partition_mb=1)
    assert stages["edges"].units > 10 and stages["keepers"].units > 4
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)
    cluster = clusters_of(np.arange(20_000, dtype=np.uint64), 20_000)
    removed = one["keeper"] != schemas.NO_DOC
    assert removed.sum() > 2000
    assert (cluster[one["doc"][removed]] == cluster[one["keeper"][removed]]).all()  # only ever by its own kind
    assert (cluster[one["doc"][removed]] >= 0).all()


@pytest.mark.skipif(sys.platform != "linux", reason="holes in files are Linux's")
def test_slabs_of_partitions_without_written_signatures_decide_the_same(tmp_path):
    """What the benchmark does otherwise than a run changes nothing but how much lies on the disk."""
    minhash, compute = DedupConfig().minhash, ComputeConfig(executor="inline", partition_mb=1)
    whole = WatchedEngine(LocalStore(str(tmp_path / "whole")), compute)
    slabs = SlabEngine(UnwrittenStore(str(tmp_path / "slabs")), compute, slabs=3)
    decided = []
    for engine, written in ((whole, True), (slabs, False)):
        parts, filtered = make_parts(engine, 12_000, minhash, 4000, written=written)
        decided.append(deduplicate(engine, parts, filtered, {"components": "one_unit" if written else "rounds"}))
    one, other = decided
    for stage, output in (("bands", "bands"), ("edges", "edges"), ("candidates", "candidates")):
        hashes = [[record.outputs[output].hash for record in of[stage]] for of in decided]
        assert hashes[0] == hashes[1], stage
    members = [fates(engine, of["keepers"]) for engine, of in ((whole, one), (slabs, other))]
    for name, values in members[0].items():
        np.testing.assert_array_equal(values, members[1][name], err_msg=name)
    names = [summary.name for summary in slabs.summaries]
    assert names.count("edges") == 3 and names.count("bands again") == 2 and "one_unit_components" in names
    keys = sum(record.outputs["bands"].bytes for record in one["bands"])
    assert slabs.most_bytes < 0.8 * keys  # a third of the keys, and what stands beside them
    assert not list((tmp_path / "slabs").rglob("*.bands.exchange")) and not list(tmp_path.glob("slabs/**/*signatures*"))
