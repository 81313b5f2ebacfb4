"""Shingles and signatures against datasketch, and against the documented formula in plain Python."""

import os
import subprocess
import sys

import datasketch
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from winnow.dedup.minhash import EMPTY, has_shingles, permutations, signatures
from winnow.dedup.minhash_config import MinHashConfig
from winnow.dedup.shingles import BLOCK_SHINGLES, shingle_counts, shingle_hashes
from winnow.dedup.signature_check import first_difference, sampled_documents

MASK = 2**64 - 1
LITERAL_SHINGLES = [2443213577, 4212959324, 1043089498]


def documents(lengths, seed=0, distinct=2**64):
    """Random word hashes of documents with these numbers of words."""
    draws = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return draws.integers(0, distinct, offsets[-1], dtype=np.uint64), offsets


def reference(shingles, num_perm, seed):
    sketch = datasketch.MinHash(num_perm, seed=seed, hashfunc=int, scheme="affine32")
    sketch.update_batch(shingles.tolist())
    return sketch.hashvalues


def slow_shingle(words):
    h = len(words)
    for word in words:
        h = (h * 0x9E3779B97F4A7C15 + word) & MASK
    for _ in range(2):
        h = ((h ^ (h >> 32)) * 0xD6E8FEB86659FD93) & MASK
    return h >> 32


def test_shingles_follow_the_documented_formula():
    words, offsets = documents([0, 1, 3, 5, 6, 9])
    shingles, starts = shingle_hashes(words, offsets, 5)
    assert np.diff(starts).tolist() == [0, 1, 1, 1, 2, 5] == shingle_counts(offsets, 5).tolist()
    for doc in range(6):
        own = words[offsets[doc] : offsets[doc + 1]].tolist()
        runs = [own[i : i + 5] for i in range(max(1, len(own) - 4))] if own else []
        assert shingles[starts[doc] : starts[doc + 1]].tolist() == [slow_shingle(run) for run in runs]


def test_shingle_values_never_change():
    """Signatures of earlier runs are compared with new ones: the literals are frozen."""
    shingles, _ = shingle_hashes(np.arange(7, dtype=np.uint64), np.array([0, 7]), 5)
    assert shingles.tolist() == [slow_shingle(range(i, i + 5)) for i in range(3)] == LITERAL_SHINGLES


def test_ngram_below_one_is_refused():
    with pytest.raises(ValueError, match="ngram"):
        shingle_hashes(np.empty(0, np.uint64), np.zeros(1, np.int64), 0)


@pytest.mark.parametrize(("num_perm", "seed"), [(256, 1), (128, 7), (1, 1), (100, 0), (257, 2**32 - 1)])
def test_permutations_are_those_of_datasketch(num_perm, seed):
    expected = datasketch.MinHash(num_perm, seed=seed).permutations
    np.testing.assert_array_equal(permutations(num_perm, seed), expected)


@pytest.mark.parametrize(("num_perm", "bands", "rows"), [(256, 32, 8), (100, 20, 5), (13, 2, 2)])
def test_signatures_equal_datasketch(num_perm, bands, rows):
    config = MinHashConfig(num_perm=num_perm, bands=bands, rows=rows, seed=num_perm)
    around = [BLOCK_SHINGLES + 4 + i for i in range(-2, 3)]
    words, offsets = documents([0, 1, 2, 4, 5, 6, 12, 13, 0, *around, 3000, 0])
    shingles, starts = shingle_hashes(words, offsets, config.ngram)
    signed = signatures(words, offsets, config)
    assert signed.dtype == np.uint32 and signed.shape == (len(offsets) - 1, num_perm)
    for doc, row in enumerate(signed):
        own = shingles[starts[doc] : starts[doc + 1]]
        np.testing.assert_array_equal(row, reference(own, num_perm, num_perm), err_msg=f"document {doc}")
    assert has_shingles(signed).tolist() == (np.diff(offsets) > 0).tolist()
    assert (signed[0] == EMPTY).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=12),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 3, 2**64]),
)
def test_any_documents_equal_datasketch(lengths, ngram, seed, distinct):
    config = MinHashConfig(num_perm=64, bands=8, rows=8, ngram=ngram, seed=seed)
    words, offsets = documents(lengths, seed, distinct)
    shingles, starts = shingle_hashes(words, offsets, ngram)
    for doc, row in enumerate(signatures(words, offsets, config)):
        np.testing.assert_array_equal(row, reference(shingles[starts[doc] : starts[doc + 1]], 64, seed))


def test_cutting_a_batch_changes_nothing():
    config = MinHashConfig()
    words, offsets = documents([30, 0, 700, 5])
    whole = signatures(words, offsets, config)
    parts = [signatures(words, offsets[i : i + 2], config) for i in range(4)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_bands_that_do_not_fit_are_refused():
    with pytest.raises(ValidationError, match=r"32 x 9 = 288.*256"):
        MinHashConfig(bands=32, rows=9)


def test_a_sample_is_the_first_document_and_some_by_their_text():
    config = MinHashConfig()
    offsets = np.cumsum([0, 0, 9000, 4, 300, 300, 9000])
    hashes = np.zeros((6, 2), np.uint64)
    hashes[:, 1] = [0, 0, 2**63, 2**52, 2**52 - 1, 0]
    # no words; too long; the first; not drawn; drawn; too long
    assert sampled_documents(offsets, hashes, config, first=True).tolist() == [2, 4]
    assert sampled_documents(offsets, hashes, config, first=False).tolist() == [4]
    assert sampled_documents(offsets[:3], hashes[:2], config, first=True).tolist() == []
    draws = np.random.default_rng(1).integers(0, 2**64, (40_960, 2), dtype=np.uint64)
    assert len(sampled_documents(np.arange(40_961) * 9, draws, config, first=False)) == pytest.approx(11, abs=10)


@pytest.mark.parametrize("seed", [1, 77])
def test_a_wrong_entry_is_found(seed):
    config = MinHashConfig(seed=seed)
    words, offsets = documents([30, 0, 700, 3])
    signed = signatures(words, offsets, config)
    rows = np.arange(4)
    assert first_difference(rows, signed, words, offsets, config) is None
    signed[2, 200] += np.uint32(1)
    signed[2, 255] += np.uint32(1)
    assert first_difference(rows, signed, words, offsets, config) == (2, 200)
    assert first_difference(rows[:2], signed, words, offsets, config) is None


def test_the_check_needs_no_scipy_and_leaves_the_package_whole():
    code = """
import sys
from winnow.dedup import signature_check
before = signature_check._minhash_class()
assert "scipy.integrate" not in sys.modules and "datasketch" not in sys.modules
import datasketch
assert datasketch.MinHash is before is signature_check._minhash_class() and datasketch.MinHashLSH
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": "pipeline"})
