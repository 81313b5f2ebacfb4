"""Hashed words and word pairs in plain Python."""

from itertools import pairwise

STEP = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def buckets_of(words: list[int], buckets: int) -> list[int]:
    pairs = [((a * STEP) & MASK) ^ ((b + (a >> 29)) & MASK) for a, b in pairwise(words)]
    return [gram % buckets for gram in [*words, *pairs]]
