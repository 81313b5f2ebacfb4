"""Interpolated modified Kneser-Ney and scores with backoff, written plainly: n-grams as tuples, one after another."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import log10


def discounts(counts: Sequence[int]) -> list[float]:
    """For counts of 1, 2, 3 and more."""
    n = Counter(counts)
    if all(n[k] for k in (1, 2, 3, 4)):
        y = n[1] / (n[1] + 2 * n[2])
        found = [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
        if all(0 <= d <= k for k, d in enumerate(found, 1)):
            return found
    return [0.5, 1.0, 1.5]


def kneser_ney(
    sentences: list[list[str]], words: Sequence[str], min_counts: Sequence[int]
) -> dict[tuple[str, ...], tuple[float, float]]:
    """N-gram -> logarithms of probability and backoff; ``words`` are all but ``<s>``."""
    orders = len(min_counts)
    raw: list[Counter] = [Counter() for _ in range(orders + 1)]
    for sentence in sentences:
        tokens = ["<s>", *(word if word in words else "<unk>" for word in sentence), "</s>"]
        for order in range(1, orders + 1):
            raw[order].update(tuple(tokens[n : n + order]) for n in range(len(tokens) - order + 1))
    adjusted: list[dict] = [{} for _ in range(orders + 1)]
    for order in range(1, orders + 1):
        before: dict = defaultdict(set)
        for gram in raw[order + 1] if order < orders else ():
            before[gram[1:]].add(gram[0])
        for gram, count in raw[order].items():
            is_raw = order == orders or gram[0] == "<s>"
            adjusted[order][gram] = count if is_raw else len(before[gram])
    adjusted[1].pop(("<s>",), None)
    every, total = list(adjusted[1].values()), sum(adjusted[1].values())
    first = discounts(every)

    def discount(of: list[float], count: int) -> float:
        return of[min(count, 3) - 1] if count else 0.0

    rest = sum(discount(first, count) for count in every) / total
    chance = {
        (word,): (adjusted[1].get((word,), 0) - discount(first, adjusted[1].get((word,), 0))) / total
        + rest / len(words)
        for word in words
    }
    found = {gram: [log10(value), 0.0] for gram, value in chance.items()} | {("<s>",): [-99.0, 0.0]}
    for order in range(2, orders + 1):
        by, of, above = discounts(list(adjusted[order].values())), defaultdict(int), {}
        for gram, count in adjusted[order].items():
            of[gram[:-1]] += count
        left: dict = defaultdict(lambda: 1.0)
        kept = [gram for gram in adjusted[order] if raw[order][gram] >= min_counts[order - 1]]
        for gram in kept:
            left[gram[:-1]] -= (adjusted[order][gram] - discount(by, adjusted[order][gram])) / of[gram[:-1]]
        for gram in kept:
            share = (adjusted[order][gram] - discount(by, adjusted[order][gram])) / of[gram[:-1]]
            above[gram] = share + left[gram[:-1]] * chance[gram[1:]]
            found[gram] = [log10(above[gram]), 0.0]
        for context, weight in left.items():
            found[context][1] = log10(weight)
        chance = above
    return {gram: (value, backoff) for gram, (value, backoff) in found.items()}


def score(model: dict[tuple[str, ...], tuple[float, float]], order: int, sentence: list[str]) -> float:
    """The logarithm of a sentence's probability, by the definition of backoff."""

    def of(context: tuple[str, ...], word: str) -> float:
        if (*context, word) in model:
            return model[(*context, word)][0]
        return model.get(context, (0.0, 0.0))[1] + of(context[1:], word)

    tokens = ["<s>", *(word if (word,) in model else "<unk>" for word in sentence), "</s>"]
    return sum(of(tuple(tokens[max(0, n - order + 1) : n]), tokens[n]) for n in range(1, len(tokens)))
