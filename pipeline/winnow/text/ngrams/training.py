"""From texts to an ARPA file."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from winnow.numeric.arrow_strings import string_buffers
from winnow.text.characters import IGNORABLE, spans
from winnow.text.ngrams.kneser_ney import BEGIN, END, FIRST_WORD, UNKNOWN, Grams, estimate, with_borders
from winnow.text.ngrams.tokens import TokenKind, tokens_of

SPECIAL = ("<unk>", "<s>", "</s>")
_LINES = 1 << 16


@dataclass(frozen=True)
class Trained:
    """A model, and what it was trained on."""

    words: list[str]
    """V, by number."""
    grams: list[Grams]
    documents: int
    tokens: int
    sentences: int
    left_out: int
    """Tokens of words that the vocabulary has no room for: ``<unk>``."""


def train(
    batches: Iterable[pa.Array], kind: TokenKind, min_counts: Sequence[int], vocabulary: int, *, by_line: bool
) -> Trained:
    """Train on texts; takes some 100 bytes a token.

    Args:
        batches: large_string[N] each, without nulls.
        kind: of tokens.
        min_counts: see :func:`estimate`; their number is the order.
        vocabulary: most words; the most frequent ones, of equals those that come first in the order of code points.
        by_line: whether every line is a sentence; else every text.

    Raises:
        ValueError: the texts hold no token.
    """
    spelt: dict[int, str] = {}
    hashes, begins, documents = [np.empty(0, np.uint64)], [np.empty(0, np.bool_)], 0
    for texts in batches:
        tokens = tokens_of(texts, kind, by_line=by_line)
        unique, first = np.unique(tokens.hashes, return_index=True)
        row = np.searchsorted(tokens.offsets, first, side="right") - 1
        data, offsets = string_buffers(texts)
        for value, place, text in zip(unique.tolist(), first.tolist(), row.tolist(), strict=True):
            if value not in spelt:
                start, end = tokens.places[place]
                raw = data[offsets[text] + start : offsets[text] + end].tobytes().decode()
                spelt[value] = raw if kind == "whitespace" else _folded(raw)
        hashes.append(tokens.hashes)
        begins.append(tokens.begins)
        documents += len(texts)
    every, starts = np.concatenate(hashes), np.concatenate(begins)
    if not len(every):
        raise ValueError("the texts hold no words to train on")
    unique, inverse, count = np.unique(every, return_inverse=True, return_counts=True)
    order = sorted(range(len(unique)), key=lambda n: (-int(count[n]), spelt[int(unique[n])]))
    order = [n for n in order if spelt[int(unique[n])].lower() not in SPECIAL][:vocabulary]
    number = np.full(len(unique), UNKNOWN, np.int64)
    number[order] = np.arange(len(order)) + FIRST_WORD
    numbered = number[inverse]
    words = [*SPECIAL, *(spelt[int(unique[n])] for n in order)]
    assert (words[UNKNOWN], words[BEGIN], words[END]) == SPECIAL
    grams = estimate(with_borders(numbered, starts), len(words), min_counts)
    unknown = int((numbered == UNKNOWN).sum())
    return Trained(words, grams, documents, len(every), int(starts.sum()), unknown)


def _folded(word: str) -> str:
    return "".join(character for character in word.casefold() if not _is_ignorable(ord(character)))


def _is_ignorable(code_point: int) -> bool:
    return any(first <= code_point <= last for first, last in spans(IGNORABLE)) if code_point > 127 else False


def arpa_lines(trained: Trained) -> Iterator[bytes]:
    """The file, in pieces."""
    head = [f"ngram {order}={len(grams.log10)}" for order, grams in enumerate(trained.grams, 1)]
    yield ("\\data\\\n" + "\n".join(head) + "\n").encode()
    for order, grams in enumerate(trained.grams, 1):
        yield f"\n\\{order}-grams:\n".encode()
        for start in range(0, len(grams.log10), _LINES):
            rows, is_last = slice(start, start + _LINES), order == len(trained.grams)
            yield "".join(_lines(trained.words, grams, rows, is_last=is_last)).encode()
    yield b"\n\\end\\\n"


def _lines(words: list[str], grams: Grams, rows: slice, *, is_last: bool) -> Iterator[str]:
    columns = (column[rows].tolist() for column in (grams.words, grams.log10, grams.backoff))
    for numbers, value, backoff in zip(*columns, strict=True):
        said = f"{value:.7g}\t{' '.join(words[number] for number in numbers)}"
        yield f"{said}\n" if is_last else f"{said}\t{backoff:.7g}\n"
