"""Precision and recall of near-duplicate removal on the whole real corpus, against brute force over all pairs."""

import json
import subprocess
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_matrix

from tests.support.brute_force import similar_pairs
from tests.support.configs import corpus_config
from tests.support.processes import command
from winnow import schemas
from winnow.dedup.shingle_sets import shingle_sets
from winnow.flow.records import RunRecords
from winnow.runs.state import load_run
from winnow.text.words import hash_words

pytestmark = pytest.mark.slow


class Truth(NamedTuple):
    """Which documents are alike, by their row among all documents."""

    docs: np.ndarray
    values: np.ndarray
    starts: np.ndarray
    pairs: np.ndarray
    similarity: np.ndarray
    ngrams: list[np.ndarray]
    """Sorted distinct runs of three words of each document."""
    characters: np.ndarray


@pytest.fixture(scope="module")
def runs(shared, tmp_path_factory) -> dict[str, RunRecords]:
    """The whole corpus in all modes without a guard, then with it; the later runs share what was measured before."""
    folder = tmp_path_factory.mktemp("brute")
    finished = {}
    for name, dedup in {
        "estimate": {"verify": "estimate", "guard": "off"},
        "signature": {"verify": "signature", "guard": "off"},
        "exact": {"verify": "exact", "guard": "off"},
        "guarded": {"verify": "exact"},
    }.items():
        config = corpus_config(shared, folder / "run", dedup=dedup, compute={"executor": "inline"})
        subprocess.run(command(config, folder / "c.yaml"), check=True, stdout=subprocess.DEVNULL)
        finished[name] = load_run(config["run"])
    return finished


@pytest.fixture(scope="module")
def truth(runs) -> Truth:
    finished = runs["exact"]
    docs, values, lengths, ngrams, characters = [], [], [], [], []
    for part in finished.parts:
        table = pq.read_table(finished.store.path(part.documents["path"]), columns=["doc", "text"])
        words = hash_words(table.column("text").combine_chunks())
        sets, starts = shingle_sets(words.hashes, words.offsets, 5)
        docs.append(table.column("doc").to_numpy())
        values.append(sets)
        lengths.append(np.diff(starts))
        threes, bounds = shingle_sets(words.hashes, words.offsets, 3)
        ngrams += np.split(threes, bounds[1:-1])
        characters.append(pc.utf8_length(table.column("text")).to_numpy())
    starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    values = np.concatenate(values)
    pairs, similarity = similar_pairs(values, starts, 0.7)
    return Truth(np.concatenate(docs), values, starts, pairs, similarity, ngrams, np.concatenate(characters))


def test_brute_force_agrees_with_all_shared_shingles_of_a_sample(truth):
    """Every document of a sample against every document that shares a shingle with it, by a matrix product."""
    sample = np.sort(np.random.default_rng(8).choice(len(truth.docs), 1500, replace=False))
    lengths = np.diff(truth.starts)
    _, column = np.unique(truth.values, return_inverse=True)
    everything = csr_matrix((np.ones(len(column), np.int32), column, truth.starts))
    found = {}
    for rows in np.array_split(sample, 10):
        common = (everything[rows] @ everything.T).tocoo()
        union = lengths[rows][common.row] + lengths[common.col] - common.data
        similarity = common.data / union
        near = (similarity >= 0.7) & (rows[common.row] != common.col)
        pairs = zip(rows[common.row[near]].tolist(), common.col[near].tolist(), strict=True)
        found |= {(min(pair), max(pair)): s for pair, s in zip(pairs, similarity[near].tolist(), strict=True)}
    touches = np.isin(truth.pairs, sample).any(axis=1)
    expected = zip(map(tuple, truth.pairs[touches].tolist()), truth.similarity[touches].tolist(), strict=True)
    assert found == dict(expected)
    assert len(found) > 500


def ledger(finished: RunRecords) -> tuple[np.ndarray, dict[int, int]]:
    """Which documents are kept, and the keeper of each removed one."""
    kept, keeper = [], {}
    for record in finished.of("decide"):
        table = pq.read_table(
            finished.store.path(record.outputs["decisions"].path), columns=["doc", "outcome", "keeper"]
        )
        rows = table.to_pylist()
        kept += [row["outcome"] == schemas.KEPT for row in rows]
        keeper |= {row["doc"]: row["keeper"] for row in rows if row["keeper"] is not None}
    return np.array(kept), keeper


def figures(finished: RunRecords, truth: Truth) -> dict[str, float]:
    """Shares: of removed documents with a keeper, or any document, that alike; of documents with a twin that are found.

    A document with a twin is missed where both stay; of two such documents one is missed, and counted.
    """
    kept, keeper = ledger(finished)
    row_of = {doc: row for row, doc in enumerate(truth.docs.tolist())}
    similarity = {tuple(pair): s for pair, s in zip(truth.pairs.tolist(), truth.similarity.tolist(), strict=True)}
    found = {"removed": len(keeper)}
    own = np.array([similarity.get(tuple(sorted((row_of[a], row_of[b]))), 0.0) for a, b in keeper.items()])
    for threshold in (0.8, 0.75):
        found[f"keeper at {threshold}"] = float((own >= threshold).mean())
    for threshold in (0.8, 0.85):
        pairs = truth.pairs[truth.similarity >= threshold]
        alike = np.zeros(len(kept), bool)
        alike[pairs.ravel()] = True
        missed = pairs[kept[pairs].all(axis=1)]
        spared = len(np.unique(missed.max(axis=1))) if len(missed) else 0
        removed = int((alike & ~kept).sum())
        found[f"with a twin at {threshold}"] = int(alike.sum())
        found[f"recall at {threshold}"] = removed / (removed + spared)
        found[f"recall at {threshold}, both of a missed pair counted"] = 1 - len(np.unique(missed)) / alike.sum()
        found[f"removed with any twin at {threshold}"] = removed / int((~kept).sum())
    return found


def test_exact_mode_removes_nothing_else_and_misses_almost_nothing(runs, truth):
    found = figures(runs["exact"], truth)
    print(json.dumps({"exact": found}, indent=1))
    assert found["keeper at 0.8"] == 1.0
    assert found["recall at 0.85, both of a missed pair counted"] >= 0.99
    assert found["recall at 0.8, both of a missed pair counted"] >= 0.97


def test_the_guard_keeps_only_what_its_rules_name(runs, truth):
    """A pair that stays together has a document with a reason, which holds by this count; no removal breaks a rule."""
    run = runs["guarded"]
    least = run.config.dedup.guard.min_containment
    kept, keeper = ledger(run)
    row_of = {doc: row for row, doc in enumerate(truth.docs.tolist())}
    refused = {}
    for record in run.of("decide"):
        columns = ["doc", "guard", "guard_keeper"]
        table = pq.read_table(run.store.path(record.outputs["decisions"].path), columns=columns)
        refused |= {row["doc"]: row for row in table.to_pylist() if row["guard"] is not None}

    def broken(removed: int, keeps: int) -> set[str]:
        own = truth.ngrams[row_of[removed]]
        lost = len(np.setdiff1d(own, truth.ngrams[row_of[keeps]], assume_unique=True))
        shorter = lost and truth.characters[row_of[keeps]] < truth.characters[row_of[removed]]
        return {
            name for name, found in (("shorter", shorter), ("containment", len(own) - lost < least * len(own))) if found
        }

    stay = truth.docs[truth.pairs[(truth.similarity >= 0.85) & kept[truth.pairs].all(axis=1)]].tolist()
    missed = [pair for pair in stay if not refused.keys() & set(pair)]
    alike = len(np.unique(truth.pairs[truth.similarity >= 0.85]))
    print(json.dumps({"guarded": {"stay": len(stay), "of them missed": len(missed), "with a twin": alike}}))
    assert len(stay) > 20
    assert len(np.unique(missed)) / alike < 0.001
    reasons = [(row["guard"], broken(doc, row["guard_keeper"])) for doc, row in refused.items()]
    assert all(reason in found for reason, found in reasons if reason in ("shorter", "containment"))
    assert sum(reason in ("shorter", "containment") for reason, _ in reasons) > 20
    assert not any(broken(doc, keeps) for doc, keeps in keeper.items())


def test_signature_mode_is_right_about_99_in_100(runs, truth):
    found = figures(runs["signature"], truth)
    print(json.dumps({"signature": found}, indent=1))
    assert found["keeper at 0.8"] >= 0.99
    assert found["recall at 0.85, both of a missed pair counted"] >= 0.99
    assert found["recall at 0.8, both of a missed pair counted"] >= 0.97


def test_the_estimate_alone_is_as_good_as_its_standard_error(runs, truth):
    """It is 0.025 at 0.8, and this corpus has many pairs that close to the threshold."""
    found = figures(runs["estimate"], truth)
    print(json.dumps({"estimate": found}, indent=1))
    assert found["keeper at 0.75"] >= 0.99
    assert found["keeper at 0.8"] >= 0.9
    assert found["recall at 0.85, both of a missed pair counted"] >= 0.99
    assert found["recall at 0.8"] >= 0.97
