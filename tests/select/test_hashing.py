"""The weight-free encoder: cosines of the projection are cosines of the n-gram counts."""

import math
from collections import Counter

import numpy as np
import pyarrow as pa

from tests.support.corpora import articles
from winnow.select.encoder import HashingEncoder
from winnow.select.encoder_config import EncoderConfig
from winnow.select.vectors import unit_rows
from winnow.text.words import hash_words


def counts(text: str, ngrams: int) -> dict:
    words = hash_words(pa.array([text], pa.large_string())).hashes.tolist()
    grams = Counter(tuple(words[n : n + size]) for size in range(1, ngrams + 1) for n in range(len(words) - size + 1))
    return {gram: 1 + math.log(number) for gram, number in grams.items()}


def cosine(a: dict, b: dict) -> float:
    dot = sum(weight * b.get(gram, 0.0) for gram, weight in a.items())
    return dot / math.sqrt(sum(w * w for w in a.values()) * sum(w * w for w in b.values()))


def test_cosines_are_those_of_the_ngrams():
    texts = articles(7, 40)[:44]
    encoder = HashingEncoder(EncoderConfig(dimensions=2048))
    vectors = unit_rows(encoder.embed(encoder.prepare(pa.array(texts, pa.large_string()))))
    sets = [counts(text, 2) for text in texts]
    errors = [vectors[a] @ vectors[b] - cosine(sets[a], sets[b]) for a in range(44) for b in range(a)]
    assert np.std(errors) < 1.5 / math.sqrt(2048)
    assert abs(np.mean(errors)) < 0.01


def test_seed_words_and_empty_texts():
    text = pa.array(["one two three four", "", "one two"], pa.large_string())
    vectors = [
        encoder.embed(encoder.prepare(text))
        for config in ({}, {"seed": 1}, {"max_tokens": 2})
        for encoder in [HashingEncoder(EncoderConfig(dimensions=64, **config))]
    ]
    assert not np.array_equal(vectors[0], vectors[1])
    assert np.array_equal(vectors[2][0], vectors[2][2])
    assert not vectors[0][1].any()
