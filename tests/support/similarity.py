"""Plain Python's view of which documents are alike."""

from functools import cache
from itertools import combinations

from tests.support.finished import texts_and_decisions
from tests.support.specification import fold, hash_word, words
from winnow.flow.records import RunRecords

MASK = 2**64 - 1
_word_hash = cache(hash_word)


def shingles(text: str, ngram: int = 5) -> set[tuple[str, ...]]:
    """The text's runs of words, as words."""
    folded = [fold(word) for word in words(text)]
    return {tuple(folded[i : i + ngram]) for i in range(max(1, len(folded) - ngram + 1))} if folded else set()


_sets = cache(shingles)


def jaccard(a: set, b: set) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


@cache
def _of_texts(one: str, other: str) -> float:
    """Runs of the same texts, and other tests, ask again."""
    return jaccard(_sets(one), _sets(other))


def shingle_hash(run: tuple[str, ...]) -> int:
    """The documented formula of a shingle, in plain Python."""
    h = len(run)
    for word in run:
        h = (h * 0x9E3779B97F4A7C15 + _word_hash(word)) & MASK
    for _ in range(2):
        h = ((h ^ (h >> 32)) * 0xD6E8FEB86659FD93) & MASK
    return h >> 32


class Truth:
    """All texts, decisions and similarities of a run."""

    def __init__(self, run: RunRecords) -> None:
        self.texts, self.decisions = texts_and_decisions(run)
        self.passed = {doc for doc, row in self.decisions.items() if row["outcome"] != "empty"}
        self.sets = {doc: _sets(text) for doc, text in self.texts.items()}
        ordered = sorted(self.texts.items())
        self.similarity = {(a, b): _of_texts(one, other) for (a, one), (b, other) in combinations(ordered, 2)}

    def kept(self, doc: int) -> bool:
        return self.decisions[doc]["outcome"] == "kept"

    def pairs(self, low: float) -> set[tuple[int, int]]:
        """Pairs of different texts, both of which took part in dedup."""
        return {
            (a, b)
            for (a, b), similarity in self.similarity.items()
            if similarity >= low and {a, b} <= self.passed and self.texts[a] != self.texts[b]
        }
