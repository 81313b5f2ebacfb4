"""Repeated windows, said plainly: a dictionary of all runs of words of all documents, one after another."""

from functools import cache

from tests.support.specification import fold, words


@cache
def _folded(word: str) -> str:
    return fold(word)


def words_of(text: str) -> list[str]:
    return [_folded(word) for word in words(text)]


def first_places(documents: list[list[str]], length: int) -> dict[tuple[int, int], tuple[int, int]]:
    """Of every window, by document and first word, that stood before: the document and word of the first one."""
    first: dict[str, tuple[int, int]] = {}
    found = {}
    for doc, listed in enumerate(documents):
        for word in range(len(listed) - length + 1):
            place = first.setdefault("\0".join(listed[word : word + length]), (doc, word))
            if place != (doc, word):
                found[doc, word] = place
    return found


def cut_of(documents: list[list[str]], length: int) -> set[tuple[int, int]]:
    """Every word, by document and number, that lies in a window that stood before."""
    return {(doc, word + step) for doc, word in first_places(documents, length) for step in range(length)}
