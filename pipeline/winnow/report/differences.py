"""Where two texts differ, word by word, for people to look at."""

import difflib
import re

Piece = tuple[bool, str]
"""Whether it differs, and the text."""


def differences(a: str, b: str) -> tuple[list[Piece], list[Piece]]:
    """Two excerpts cut where they begin to differ, or to be the same again; by words."""
    words_a, words_b = re.findall(r"\s+|\w+|[^\w\s]", a), re.findall(r"\s+|\w+|[^\w\s]", b)
    left: list[Piece] = []
    right: list[Piece] = []
    for kind, a0, a1, b0, b1 in difflib.SequenceMatcher(None, words_a, words_b, autojunk=False).get_opcodes():
        for side, piece in ((left, "".join(words_a[a0:a1])), (right, "".join(words_b[b0:b1]))):
            if piece:
                side.append((kind != "equal", piece))
    return left, right
