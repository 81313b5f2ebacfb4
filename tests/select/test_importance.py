"""Importance against plain Python: word features counted one by one, ratios by definition."""

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.grams import buckets_of
from winnow.select.importance import divergence, importance_log_weights, log_ratio
from winnow.select.kernels.grams import gram_counts, gram_weights
from winnow.select.step_configs import ImportanceConfig
from winnow.text.words import hash_words


def features(text: str, buckets: int) -> list[int]:
    words = hash_words(pa.array([text], pa.large_string()))
    return buckets_of([int(word) for word in words.hashes], buckets)


def test_the_importance_of_a_text_is_what_the_definition_says():
    target = ["The river carries bread.", "the RIVER, again"]
    corpus = ["A river of bread", "many committees ignore many letters", "letters of a committee again and again"]
    buckets, smoothing = 64, 1.5
    counted = []
    for texts in (target, corpus):
        words = hash_words(pa.array(texts, pa.large_string()))
        counted.append(gram_counts(words.hashes, words.offsets, buckets))
        by_hand = Counter(bucket for text in texts for bucket in features(text, buckets))
        assert counted[-1].tolist() == [by_hand[bucket] for bucket in range(buckets)]
    t, c = counted
    q = [(n + 1) / (sum(c) + buckets) for n in c]
    p = [(n + smoothing * buckets * share) / (sum(t) + smoothing * buckets) for n, share in zip(t, q, strict=True)]
    assert sum(p) == pytest.approx(1)
    ratio = log_ratio(t, c, smoothing)
    assert ratio.tolist() == pytest.approx([math.log(a / b) for a, b in zip(p, q, strict=True)])
    text = "Committees carry the river; the river again"
    words = hash_words(pa.array([text], pa.large_string()))
    expected = sum(math.log(p[b] / q[b]) for b in features(text, buckets))
    assert gram_weights(words.hashes, words.offsets, ratio)[0] == pytest.approx(expected)
    assert divergence(t, c, smoothing) == pytest.approx(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 1.0, 10.0]))
def test_smoothing_bounds_what_was_never_seen(seed, smoothing):
    rng = np.random.default_rng(seed)
    target, corpus = rng.poisson(0.5, 200), rng.poisson(50.0, 200)
    ratio = log_ratio(target, corpus, smoothing)
    lowest = math.log(smoothing * 200 / (target.sum() + smoothing * 200))
    assert ratio.min() >= lowest - 1e-9
    assert divergence(target, corpus, smoothing) >= -1e-12
    # an empty target says nothing, and a corpus like itself is nowhere likelier
    assert np.allclose(log_ratio(np.zeros(200, int), corpus, smoothing), 0)
    assert abs(log_ratio(corpus * 1000, corpus, smoothing)).max() < 0.1


def test_long_documents_count_as_if_they_were_shorter():
    importance, number = np.array([-30.0, 8.0, 0.0]), np.array([10, 4, 0])
    assert importance_log_weights(importance, number, None).tolist() == [-30.0, 8.0, 0.0]
    assert importance_log_weights(importance, number, 5).tolist() == [-15.0, 8.0, 0.0]
    assert importance_log_weights(importance, number, 2).tolist() == [-6.0, 4.0, 0.0]


def test_a_path_alone_names_a_target():
    short = ImportanceConfig.model_validate_json('{"target": "good/*.jsonl"}')
    assert short.target.path == "good/*.jsonl"
    several = ImportanceConfig.model_validate_json('{"target": ["a.txt", "b.txt"]}')
    assert several.target.source("x").paths == ("a.txt", "b.txt")
