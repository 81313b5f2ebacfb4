"""Near-duplicates from text to keepers: expected clusters of the oracle, and planted near-duplicates.

The clusters are those of another project (text windows with known exact similarities); words, hashes and
permutations are our own, so the pairs must agree, not the hash values.
"""

import hashlib
import itertools
import json
import re
from pathlib import Path

import datasketch
import numpy as np
import pyarrow as pa
import pytest
import zstandard

from tests.support.specification import fold, words
from winnow.dedup.bands import candidate_probability, exchange_rows, group_edges
from winnow.dedup.components import connected_components
from winnow.dedup.config import DedupConfig
from winnow.dedup.exact import text_hashes
from winnow.dedup.keeper_search import exact_similarity
from winnow.dedup.keepers import choose_keepers
from winnow.dedup.minhash import signatures
from winnow.dedup.shingles import shingle_counts, shingle_hashes
from winnow.text.words import hash_words

WINDOWS_THAT_STAY = [0, 2, 3, 5, 8, 10, 14, 15]
OTHER_WORDS = {
    "Hello, World! 123.45 and 6,789 items": ["hello", "world", "123", "45", "and", "6", "789", "items"],
    "|$17.56||1|\n|$15.37||2599|": ["17", "56", "1", "15", "37", "2599"],  # theirs: every number is 0
    "v1.2.3 10.5.6": ["v1", "2", "3", "10", "5", "6"],
    "１２３ ٣٤٥ ½": ["１２３", "٣٤٥"],  # a fraction is a mark here
    "Café naïve Ångström": ["café", "naïve", "ångström"],  # theirs: accents are taken off
    "Straße İstanbul": ["strasse", "i̇stanbul"],  # theirs: lower case, not case folding
    "日本語。テキスト、です": ["日", "本", "語", "テ", "キ", "ス", "ト", "で", "す"],  # theirs: runs between marks
    "emoji 😀 test": ["emoji", "test"],  # theirs: a word
    "\u200bzero\u200bwidth": ["zerowidth"],  # theirs: one word with what is drawn as nothing in it
}

ORACLE = Path(__file__).resolve().parents[2].parent / "shared" / "oracles" / "oracle_minhash.json"


def split(texts):
    return hash_words(pa.array(texts, pa.large_string()))


def find_duplicates(texts, config, threshold, verify="estimate"):
    """The road of a corpus in one process: edges, keeper of each document (-1 where it stays), similarity."""
    words, offsets = split(texts)
    signed = signatures(words, offsets, config)
    counts = shingle_counts(offsets, config.ngram)
    hashes = text_hashes(pa.array(texts, pa.large_string()))
    edges = group_edges(*exchange_rows(signed, hashes, np.arange(len(texts), dtype=np.uint64), config))
    docs, components = connected_components([edges])
    members = docs[np.argsort(components, kind="stable")].astype(np.int64)
    _, sizes = np.unique(components, return_counts=True)
    bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    sets = exact_sets(words, offsets, config.ngram)
    own = [sets[member] for member in members]
    ends = np.cumsum([len(s) for s in own]).astype(np.int64)
    shingles = (np.concatenate(own), np.stack([np.concatenate([[0], ends[:-1]]), ends], axis=1))
    found, share, _, *_ = choose_keepers(
        members, bounds, signed[members], counts[members], hashes[members], threshold, np.zeros(len(members),
        bool), shingles, verify,
    )  # fmt: skip
    keeper, similarity = np.full(len(texts), -1), np.zeros(len(texts))
    keeper[members] = np.where(found >= 0, members[found], -1)
    similarity[members] = share
    return edges, keeper, similarity


def exact_sets(words, offsets, ngram):
    shingles, starts = shingle_hashes(words, offsets, ngram)
    return [np.unique(shingles[start:end]) for start, end in itertools.pairwise(starts)]


@pytest.fixture(scope="module")
def oracle():
    if not ORACLE.exists():
        pytest.skip(f"{ORACLE} is not there: the folder of shared oracles is needed")
    return json.loads(ORACLE.read_text())


def test_clusters_of_the_oracle(oracle):
    text = oracle["lorem_ipsum"]
    assert hashlib.sha1(text.encode()).hexdigest() == oracle["lorem_sha1"]
    clusters = oracle["clusters_offsets"]
    starts = [start for cluster in clusters for start in cluster]
    cluster_of = np.array([number for number, cluster in enumerate(clusters) for _ in cluster])
    texts = [text[start : start + oracle["doc_len"]] for start in starts]
    # The oracle's clusters come from bands alone (14 bands of 8 rows, so a meeting is likely from 0.72 on),
    # and take whole components: one survivor each. Within a cluster the exact similarity to the first window
    # goes down to 0.5.
    edges, keeper, _ = find_duplicates(texts, DedupConfig().minhash, threshold=0.3)
    pairs = {tuple(sorted(edge)) for edge in edges.tolist()}
    assert pairs
    assert all(cluster_of[a] == cluster_of[b] for a, b in pairs)
    assert [int((keeper[cluster_of == number] == -1).sum()) for number in range(len(clusters))] == [1] * len(clusters)
    assert (keeper == -1).sum() == 6
    # Every pair that the oracle's own runs emitted (three hash functions) lies in one of our components.
    docs, components = connected_components([edges])
    component_of = dict(zip(docs.tolist(), components.tolist(), strict=True))
    for name, emitted in oracle["configs"].items():
        for a, b in emitted["emitted_pairs"]:
            assert component_of[a] == component_of[b], name


def test_at_the_threshold_only_windows_that_reach_a_kept_one_go(oracle):
    """The oracle's tool removes all but one of a cluster. Ours compares with who stays: two more windows stay."""
    text = oracle["lorem_ipsum"]
    starts = [start for cluster in oracle["clusters_offsets"] for start in cluster]
    # "id" as in test_exact_similarities_of_the_oracle
    texts = [re.sub(r"\bid\b", "i d", text[start : start + oracle["doc_len"]]) for start in starts]
    jaccard = np.array(oracle["configs"]["xxhash64"]["jaccard"])
    _, keeper, _ = find_duplicates(texts, DedupConfig().minhash, threshold=0.8, verify="exact")
    assert sorted(np.flatnonzero(keeper < 0).tolist()) == WINDOWS_THAT_STAY
    for window in np.flatnonzero(keeper >= 0):
        assert jaccard[window, keeper[window]] >= 0.8 and keeper[keeper[window]] == -1
    for a, b in itertools.combinations(WINDOWS_THAT_STAY, 2):
        assert jaccard[a, b] < 0.8


def test_words_beside_those_of_the_oracle(oracle):
    """The two definitions of a word, side by side: docs/rules.md gives the reasons."""
    ours = {sample["i"]: [fold(word) for word in words(sample["i"])] for sample in oracle["simplify_text"]}
    theirs = {sample["i"]: sample["words"] for sample in oracle["simplify_text"]}
    differ = {text: ours[text] for text in theirs if ours[text] != theirs[text]}
    assert differ == OTHER_WORDS
    for text, expected in ours.items():  # and the kernel has as many
        assert len(split([text]).hashes) == len(expected)
    for sample in oracle["short_docs"]:
        counts = shingle_counts(split([sample["text"]]).offsets, 5)
        assert counts[0] == max(1, sample["n_shingles"])  # a text of four words has none there, one here


def test_exact_similarities_of_the_oracle(oracle):
    """The oracle's matrix of exact Jaccard similarities between the 16 windows, to the digits given."""
    text = oracle["lorem_ipsum"]
    starts = [start for cluster in oracle["clusters_offsets"] for start in cluster]
    windows = [text[start : start + oracle["doc_len"]] for start in starts]
    # The oracle's words come from an English tokeniser that reads the Latin word "id" as "i'd", two words.
    words, offsets = split([re.sub(r"\bid\b", "i d", window) for window in windows])
    sets = exact_sets(words, offsets, 5)
    found = [[exact_similarity(a, b) for b in sets] for a in sets]
    np.testing.assert_allclose(found, oracle["configs"]["xxhash64"]["jaccard"], atol=5.1e-5)


def corpus_texts(limit):
    folder = ORACLE.parents[1] / "corpus"
    if not folder.exists():
        pytest.skip(f"{folder} is not there: the shared corpus is needed")
    texts = []
    for path in sorted(folder.glob("[0-9]*.jsonl.zst")):
        with zstandard.open(path, "rt", encoding="utf-8") as lines:
            texts += [json.loads(line)["text"] for line in itertools.islice(lines, limit)]
    return texts


def test_signatures_of_the_corpus_equal_datasketch():
    texts = corpus_texts(12)
    config = DedupConfig().minhash
    words, offsets = split(texts)
    signed = signatures(words, offsets, config)
    shingles, starts = shingle_hashes(words, offsets, config.ngram)
    for doc, (start, end) in enumerate(itertools.pairwise(starts)):
        if end - start < 50_000:  # datasketch would take 1 KB a shingle
            sketch = datasketch.MinHash(config.num_perm, seed=config.seed, hashfunc=int)
            sketch.update_batch(shingles[start:end].tolist())
            np.testing.assert_array_equal(signed[doc], sketch.hashvalues, err_msg=f"document {doc}")
    assert len(texts) > 100


def planted(seed, families, words_each=300):
    """Texts of random words, each with one copy in which some words were replaced."""
    draws = np.random.default_rng(seed)
    vocabulary = np.array([f"w{i}" for i in range(5000)])
    texts = []
    for family in range(families):
        words = vocabulary[draws.integers(0, 5000, words_each)]
        changed = words.copy()
        spots = draws.choice(words_each, family % 16, replace=False)
        changed[spots] = vocabulary[draws.integers(0, 5000, len(spots))]
        texts += [" ".join(words), " ".join(changed)]
    return texts


@pytest.mark.parametrize("verify", ["estimate", "signature", "exact"])
def test_planted_near_duplicates(verify):
    config, threshold = DedupConfig().minhash, 0.8
    texts = planted(11, 600)
    _, keeper, similarity = find_duplicates(texts, config, threshold, verify)
    words, offsets = split(texts)
    sets = exact_sets(words, offsets, config.ngram)
    truth = np.array([exact_similarity(sets[i], sets[i + 1]) for i in range(0, len(texts), 2)])
    removed = keeper[1::2] >= 0
    assert (keeper[::2] == -1).all()
    assert (keeper[1::2][removed] == np.flatnonzero(removed) * 2).all()  # only ever by its own original
    assert 100 < removed.sum() < 500
    if verify == "exact":
        assert (truth[removed] >= threshold).all()  # precision 1
        np.testing.assert_allclose(similarity[1::2][removed], truth[removed], rtol=1e-6)
        similar = truth >= threshold
        assert removed[similar].mean() >= candidate_probability(threshold, config) - 0.02
    elif verify == "signature":
        assert (truth[removed] >= threshold).mean() >= 0.99
        assert removed[truth >= threshold].mean() >= candidate_probability(threshold, config) - 0.02
    else:  # the estimate has a standard error of 0.025 at the threshold: sure 4 of them away
        assert removed[truth >= 0.9].mean() >= 0.999
        assert not removed[truth < 0.7].any()
        assert np.abs(similarity[1::2][removed] - truth[removed]).max() < 0.13
        assert np.abs((similarity[1::2] - truth)[removed & (truth > 0.85)].mean()) < 0.01  # no bias
