"""Ids and marks of rendered conversations: those of the whole text, with what stands in the data as ordinary text.

A rank file knows no rule but "special tokens first", so its conversations are cut at the special tokens that the
template wrote, and the pieces encoded; so are those of a ``tokenizer.json`` that has no other rule either. Others have
rules of their own around special tokens (``lstrip``, ``rstrip``, ``single_word``, ``prepend_scheme``), so there the
whole text goes to the library. Where the data has a
special token's name that the library would take for the token, the tokens that the *template* wrote are put under
names that no data has (noncharacters), and everything else is ordinary text to it.

Legend: T tokens.
"""

import json
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.sources.structured.chat import Rendered
from winnow.tokens.engines import EngineError, Tiktoken, Tokenizers
from winnow.tokens.tokeniser import Checked, Mismatch, Tokeniser
from winnow.tokens.vocabulary import Vocabulary

Ids = NDArray[Any]
Marks = NDArray[np.uint8]

_LEAD, *_DIGITS = map(chr, range(0xFDD3, 0xFDF0))
"""Noncharacters beyond those that mark what the assistant wrote. The first and three others name a special token: no
name begins inside another one or across two, wherever a library begins to look."""
_NAME_LENGTH = 4
_MAX_CHECKED_CHARACTERS = 1 << 20


class EncodedConversations(NamedTuple):
    """N conversations."""

    ids: list[tuple[Ids, Marks]]
    """uint32[T] and uint8[T] of each."""
    checked: Checked
    refused: set[int]
    """Those whose data has a special token's name that this vocabulary cannot keep apart: they have no ids."""


class _Placed(NamedTuple):
    """Ids, and where each begins and ends in the text: characters, or bytes."""

    ids: Ids
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]


def encode_conversations(tokeniser: Tokeniser, rendered: list[Rendered]) -> EncodedConversations:
    """Ids and marks of each conversation, and what a check of a sample found: the first, and some by hash.

    Raises:
        EngineError: the reference gives up on a text.
    """
    sample = [n for n, one in enumerate(rendered) if n == 0 or tokeniser.samples(one.text.encode())]
    if tokeniser.vocabulary.keeps_special_tokens_apart:
        return _by_segments(tokeniser, rendered, sample)
    return _by_library(tokeniser, rendered, sample)


def _by_segments(tokeniser: Tokeniser, rendered: list[Rendered], sample: list[int]) -> EncodedConversations:
    vocabulary = tokeniser.vocabulary
    texts = [text for one in rendered for text, is_special in one.segments if not is_special]
    encoded = tokeniser.encode(pa.array(texts, pa.large_string()))
    pieces = iter(encoded.ids[begin:end] for begin, end in pairwise(encoded.offsets))
    ids = [_joined(one, pieces, vocabulary) for one in rendered]
    checked, mismatches, unchecked = 0, [], 0
    for row in sample:
        try:
            expected = _whole(tokeniser, rendered[row])
        except EngineError:
            unchecked += 1
            continue
        checked += 1
        if not np.array_equal(ids[row], expected):
            mismatches.append(Mismatch(row, "its ids differ from those of the whole text"))
    if mismatches and vocabulary.tokenizer_json:
        return _by_library(tokeniser, rendered, sample)._replace(checked=Checked(checked, mismatches, 0, unchecked))
    if mismatches:
        ids = [_whole(tokeniser, one) for one in rendered]
    lengths = vocabulary.token_lengths
    found = []
    for one, some in zip(rendered, ids, strict=True):
        ends = np.cumsum(lengths[some], dtype=np.int64)
        spans = _in_bytes(one.text, one.spans)
        found.append((some, marks_of(ends - lengths[some], ends, spans)))
    return EncodedConversations(found, Checked(checked, mismatches, 0, unchecked), set())


def _joined(one: Rendered, pieces: Any, vocabulary: Vocabulary) -> Ids:
    special = vocabulary.special_tokens
    parts = [np.array([special[text]], np.uint32) if is_special else next(pieces) for text, is_special in one.segments]
    return np.concatenate([np.empty(0, np.uint32), *parts]).astype(np.uint32)


def _whole(tokeniser: Tokeniser, one: Rendered) -> Ids:
    """Ids by the reference on the whole text."""
    vocabulary = tokeniser.vocabulary
    if len(one.text) > _MAX_CHECKED_CHARACTERS:
        raise EngineError("too long to be compared whole")
    if not vocabulary.tokenizer_json:
        return _disguised_tiktoken(vocabulary).ids_of(_disguised(one, vocabulary))
    if not one.protected:
        return _placed(*_library(vocabulary).encode_with_offsets(one.text)).ids
    hidden, _ = _encode_disguised(one, vocabulary)
    if hidden is None:
        raise EngineError("a special token's name in it cannot be kept apart")
    return hidden.ids


def _by_library(tokeniser: Tokeniser, rendered: list[Rendered], sample: list[int]) -> EncodedConversations:
    vocabulary = tokeniser.vocabulary
    library = _library(vocabulary)
    found: list[tuple[Ids, Marks]] = []
    refused: set[int] = set()
    for row, one in enumerate(rendered):
        placed, spans = _placed(*library.encode_with_offsets(one.text)), one.spans
        if one.protected and _data_became_special(one, placed, vocabulary):
            hidden, spans = _encode_disguised(one, vocabulary)
            if hidden is None:
                refused.add(row)
            placed = hidden or _placed([], [])
        found.append((placed.ids, marks_of(placed.begins, placed.ends, spans)))
    read_back = [row for row in sample if row not in refused]
    lossy = sum(vocabulary.decode(found[row][0]) != rendered[row].text.encode() for row in read_back)
    return EncodedConversations(found, Checked(len(read_back), [], lossy, 0), refused)


def _placed(ids: Any, offsets: list[tuple[int, int]]) -> _Placed:
    places = np.array(offsets, np.int64).reshape(-1, 2)
    return _Placed(np.array(ids, np.uint32), places[:, 0], places[:, 1])


def _data_became_special(one: Rendered, placed: _Placed, vocabulary: Vocabulary) -> bool:
    """Whether the library took a name in the data for a special token."""
    written = np.concatenate([np.full(len(text), is_special) for text, is_special in one.segments])
    return not bool(written[_special_places(one.text, placed, vocabulary)].all())


def _special_places(text: str, placed: _Placed, vocabulary: Vocabulary) -> list[int]:
    """A character of each special token; with ``lstrip`` and ``rstrip`` their places have blanks of the data, too."""
    special = np.isin(placed.ids, list(vocabulary.special_tokens.values()))
    found = []
    for begin, end in zip(placed.begins[special].tolist(), placed.ends[special].tolist(), strict=True):
        blanks = len(text[begin:end]) - len(text[begin:end].lstrip())
        found.append(begin + blanks if begin + blanks < end else begin)
    return found


def _encode_disguised(one: Rendered, vocabulary: Vocabulary) -> tuple[_Placed | None, list[tuple[int, int]]]:
    """Encode with the template's special tokens under other names; None where that changes more than the data's."""
    if any(digit in one.text for digit in (_LEAD, *_DIGITS)):
        return None, []
    names = sorted(vocabulary.special_tokens, key=len, reverse=True)
    harmless = one._replace(segments=[(t if special else _broken(t, names), special) for t, special in one.segments])
    expected = _placed(*_library(vocabulary).encode_with_offsets(harmless.text))
    # the library may take no token where the template wrote one (`single_word` beside a letter): only others are hidden
    taken = np.zeros(len(harmless.text) + 1, np.int64)
    taken[_special_places(harmless.text, expected, vocabulary)] = 1
    ends = np.cumsum([len(text) for text, _ in harmless.segments])
    hidden = [
        special and bool(taken[end - len(text) : end].any())
        for (text, special), end in zip(harmless.segments, ends.tolist(), strict=True)
    ]
    disguised = _disguised_tokenizer(vocabulary)
    ids, _ = disguised.true_ids(_disguised(harmless, vocabulary, hidden))
    if not np.array_equal(ids, expected.ids):
        return None, []
    moved = np.zeros(len(one.text) + 1, np.int64)
    at = 0
    for (text, _), hide in zip(one.segments, hidden, strict=True):
        at += len(text)
        moved[at:] += (_NAME_LENGTH - len(text)) * hide
    placed = _placed(*disguised.true_ids(_disguised(one, vocabulary, hidden)))
    return placed, [(int(b + moved[b]), int(e + moved[e])) for b, e in one.spans]


def _broken(text: str, names: list[str]) -> str:
    for name in names:
        if len(name) > 1:
            text = text.replace(name, f"{name[0]}·{name[1:]}")
    return text


def _disguise(number: int) -> str:
    base = len(_DIGITS)
    return _LEAD + _DIGITS[number // base**2 % base] + _DIGITS[number // base % base] + _DIGITS[number % base]


def _disguised(one: Rendered, vocabulary: Vocabulary, hidden: list[bool] | None = None) -> str:
    names = {name: _disguise(number) for number, name in enumerate(vocabulary.special_tokens)}
    chosen = hidden if hidden is not None else [is_special for _, is_special in one.segments]
    return "".join(names[text] if hide else text for (text, _), hide in zip(one.segments, chosen, strict=True))


@cache
def _library(vocabulary: Vocabulary) -> Tokenizers:
    return Tokenizers(vocabulary, special_tokens=True)


@cache
def _disguised_tokenizer(vocabulary: Vocabulary) -> "_DisguisedTokenizer":
    return _DisguisedTokenizer(vocabulary)


@cache
def _disguised_tiktoken(vocabulary: Vocabulary) -> Tiktoken:
    names = {_disguise(n): number for n, number in enumerate(vocabulary.special_tokens.values())}
    return Tiktoken(vocabulary, names)


class _DisguisedTokenizer:
    """The library with special tokens under names that no data has."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        definition = json.loads(vocabulary.tokenizer_json)
        names = {name: _disguise(number) for number, name in enumerate(vocabulary.special_tokens)}
        added = [str(token["content"]) for token in definition.get("added_tokens") or []]
        for token in definition.get("added_tokens") or []:
            token["content"] = names.get(token["content"], token["content"])
        self._library = Tokenizers.of_definition(definition, special_tokens=True)
        # tokens that only the model knew by name are numbered anew, and all that are added behind them
        true = {name: _library(vocabulary).id_of(name) for name in added} | dict(vocabulary.special_tokens)
        self._true = {self._library.id_of(names.get(name, name)): number for name, number in true.items()}

    def true_ids(self, text: str) -> tuple[Ids, list[tuple[int, int]]]:
        """Ids of the vocabulary, and the characters at which each begins and ends."""
        ids, offsets = self._library.encode_with_offsets(text)
        return np.array([self._true.get(number, number) for number in ids], np.uint32), offsets


def marks_of(begins: NDArray[np.int64], ends: NDArray[np.int64], spans: list[tuple[int, int]]) -> Marks:
    """uint8[T]: 1 on every token from the first to the last one of each span.

    Tokens without a place (a blank that the tokeniser puts before a word) go with the one behind them.

    Args:
        begins: int64[T]. ends: int64[T]. spans: places [begin, end), in the same unit.
    """
    marks = np.zeros(len(begins), np.uint8)
    begins, ends = np.maximum.accumulate(begins), np.maximum.accumulate(ends)
    for begin, end in spans:
        if end > begin:
            first = min(np.searchsorted(ends, begin, "right"), np.searchsorted(begins, begin, "left"))
            marks[first : np.searchsorted(begins, end, "left")] = 1
    return marks


def _in_bytes(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    widths = 1 + (points > 0x7F) + (points > 0x7FF).astype(np.int64) + (points > 0xFFFF)
    place = np.concatenate([[0], np.cumsum(widths)])
    return [(int(place[begin]), int(place[end])) for begin, end in spans]
