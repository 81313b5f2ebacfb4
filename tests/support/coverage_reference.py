"""Which items a text holds, said plainly and slowly: every window of the text, one after another."""

import math
from fractions import Fraction

from tests.support.specification import fold, words

GRAM = 5


def folded(text: str) -> list[str]:
    return [fold(word) for word in words(text)]


def grams(found: list[str]) -> list[tuple[str, ...]]:
    return [tuple(found[i : i + GRAM]) for i in range(len(found) - GRAM + 1)]


def most_covered(item: list[str], text: list[str]) -> int:
    """Words of the item that runs of five cover which the text holds in one window."""
    size = 2 * len(item) + 50
    wanted, held, best = grams(item), grams(text), 0
    if not set(wanted) & set(held):
        return 0
    for start in range(max(1, len(text) - size + 1)):
        there = set(held[start : start + size - GRAM + 1])
        best = max(best, len({i + k for i, gram in enumerate(wanted) if gram in there for k in range(GRAM)}))
    return best


def needed(words: int, share: str, exact_below: int = 10) -> int:
    return words if words < exact_below else math.ceil(Fraction(share) * words)


def holds(question: str, answer: str, text: str, min_words: int = 8, exact_below: int = 10) -> set[str]:
    """What makes a text contaminated: `question`, `answer`, both or nothing."""
    asked, whole, there = folded(question), folded(question) + folded(answer), folded(text)
    found = set()
    if len(asked) >= min_words and most_covered(asked, there) >= needed(len(asked), "0.8", exact_below):
        found.add("question")
    tested = folded(answer) and len(whole) >= min_words
    if tested and most_covered(whole, there) >= needed(len(whole), "0.7", exact_below):
        found.add("answer")
    return found
