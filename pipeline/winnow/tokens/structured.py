"""Ids and marks of structured documents: conversations through their template, pairs with their separators.

Legend: N documents, T tokens.
"""

from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from winnow.sources.structured.chat import ChatTemplateError, Rendered, chat_template, special_pattern
from winnow.tokens.engines import Tokenizers
from winnow.tokens.marks import with_marks
from winnow.tokens.tokeniser import Checked, Mismatch, TokenisedTexts, Tokeniser

Ids = NDArray[Any]
Marks = NDArray[np.uint8]


class MarkedTexts(NamedTuple):
    """N documents with marks."""

    encoded: TokenisedTexts
    """uint32 ids, the mark in the top bit."""
    end_marks: Marks
    """uint8[N], the mark of each document's end-of-text."""
    checked: Checked
    truncated: int
    """Pairs that were cut to fit a row."""
    refused: int
    """Conversations that the template took as they were read and refuses normalised: they have no ids."""


class _Document(NamedTuple):
    ids: Ids
    marks: Marks
    end_mark: int


def encode_structured(
    tokeniser: Tokeniser, texts: pa.Array, structures: list[str | None], sources: list[str], settings: dict[str, Any]
) -> MarkedTexts:
    """Encode documents, structured or plain.

    Args:
        tokeniser: of the run.
        texts: large_string[N], what plain documents say.
        structures: N, the JSON of :mod:`winnow.sources.structured.structure`, or None for a plain document.
        sources: N, the source of each document.
        settings: ``templates`` (source -> template text, None for the built-in one), ``row_tokens`` (pairs are cut to
            fit such a row), ``plain_mark`` (of plain documents' tokens).
    """
    parsed: list[Any] = [None if structure is None else orjson.loads(structure) for structure in structures]
    documents: list[_Document | None] = [None] * len(parsed)
    plain = [row for row, parts in enumerate(parsed) if parts is None]
    chats = [row for row, parts in enumerate(parsed) if parts is not None and type(parts[0]) is dict]
    pairs = [row for row, parts in enumerate(parsed) if parts is not None and type(parts[0]) is str]
    checks: list[tuple[Checked, list[int]]] = []
    truncated = refused = 0

    if plain:
        found, checked = _encode(tokeniser, texts.take(pa.array(plain)))
        checks.append((checked, plain))
        first = _ids(tokeniser.vocabulary.first_token)
        for row, some in zip(plain, found, strict=True):
            ids = np.concatenate([first, some])
            mark = settings["plain_mark"]
            documents[row] = _Document(ids, np.full(len(ids), mark, np.uint8), mark)
    if chats:
        special = special_pattern(list(tokeniser.vocabulary.special_tokens))
        names = _names(tokeniser)
        rendered = []
        for row in chats:
            try:
                template = chat_template(settings["templates"][sources[row]])
                rendered.append(template.render(parsed[row], special, names))
            except ChatTemplateError:  # it was rendered when it was read, but normalisation changed a content
                refused += 1
                rendered.append(Rendered([], []))
        encoded, checked, owners = _encode_rendered(tokeniser, rendered)
        checks.append((checked, [chats[owner] for owner in owners]))
        for row, (ids, marks) in zip(chats, encoded, strict=True):
            answered = int(len(ids) > 0 and parsed[row][-1]["role"] == "assistant")
            if len(ids) and ids[-1] == tokeniser.vocabulary.end_of_text:  # the rows add it
                documents[row] = _Document(ids[:-1], marks[:-1], int(marks[-1]))
            else:
                documents[row] = _Document(ids, marks, answered)
    if pairs:
        both = pa.array([part for row in pairs for part in parsed[row]], pa.large_string())
        found, checked = _encode(tokeniser, both)
        checks.append((checked, [row for row in pairs for _ in range(2)]))
        for row, one, two in zip(pairs, found[::2], found[1::2], strict=True):
            documents[row], cut = _pair(one, two if parsed[row][1] else None, tokeniser, settings["row_tokens"])
            truncated += cut
    return _joined([d for d in documents if d is not None], checks, truncated, refused)


def _joined(
    documents: list[_Document], checks: list[tuple[Checked, list[int]]], truncated: int, refused: int
) -> MarkedTexts:
    ids = np.concatenate([_ids(None), *(document.ids for document in documents)])
    marks = np.concatenate([np.empty(0, np.uint8), *(document.marks for document in documents)])
    offsets = np.cumsum([0, *(len(document.ids) for document in documents)])
    checked = Checked(
        sum(one.documents for one, _ in checks),
        [Mismatch(rows[m.row], m.reason) for one, rows in checks for m in one.mismatches],
        sum(one.lossy for one, _ in checks),
        sum(one.unchecked for one, _ in checks),
    )
    ends = np.array([document.end_mark for document in documents], np.uint8)
    return MarkedTexts(TokenisedTexts(with_marks(ids, marks), offsets), ends, checked, truncated, refused)


def _ids(token: int | None) -> NDArray[np.uint32]:
    return np.array([] if token is None else [token], np.uint32)


def _encode(tokeniser: Tokeniser, texts: pa.Array) -> tuple[list[Ids], Checked]:
    """Ids of each text."""
    encoded, checked = tokeniser.encode_checked(texts)
    return np.split(encoded.ids, encoded.offsets[1:-1]) if len(texts) else [], checked


def _names(tokeniser: Tokeniser) -> dict[str, str]:
    """``bos_token`` and ``eos_token`` of the templates."""
    vocabulary = tokeniser.vocabulary
    by_id = {number: name for name, number in vocabulary.special_tokens.items()}
    first = "" if vocabulary.first_token is None else by_id[vocabulary.first_token]
    return {"bos_token": first, "eos_token": by_id.get(vocabulary.end_of_text, "")}


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """How many tokens two texts of these lengths keep in ``room``: the longer one is cut first, and once both are
    alike, both; of an odd number of tokens the longer one keeps one more, the second where both are alike.

    Source: ``longest_first`` of Hugging Face tokenizers.
    """
    if first + second <= room:
        return first, second
    short, long = min(first, second), max(first, second)
    if room - short >= short:
        long = room - short
    else:
        short = room // 2
        long = room - short
    return (long, short) if first > second else (short, long)


def _pair(one: Ids, two: Ids | None, tokeniser: Tokeniser, row_tokens: int) -> tuple[_Document, bool]:
    """``[CLS] one [SEP] two``, with marks on the second text; the last ``[SEP]`` is the end-of-text.

    Without a second text it is ``[CLS] one``, as in BERT.
    """
    vocabulary = tokeniser.vocabulary
    begin, between = _ids(vocabulary.first_token), _ids(vocabulary.end_of_text)
    if two is None:
        kept = one[: row_tokens - len(begin) - 1]
        ids = np.concatenate([begin, kept])
        return _Document(ids, np.zeros(len(ids), np.uint8), 0), len(kept) < len(one)
    keep = longest_first(len(one), len(two), row_tokens - len(begin) - 2)
    cut = keep != (len(one), len(two))
    one, two = one[: keep[0]], two[: keep[1]]
    ids = np.concatenate([begin, one, between, two])
    marks = np.zeros(len(ids), np.uint8)
    marks[len(ids) - len(two) :] = 1
    return _Document(ids, marks, 1), cut


def _encode_rendered(
    tokeniser: Tokeniser, rendered: list[Rendered]
) -> tuple[list[tuple[Ids, Marks]], Checked, list[int]]:
    """Ids and marks of each conversation, what a check of its segments found, and whose segments these are."""
    owners = [n for n, one in enumerate(rendered) for _, is_special in one.segments if not is_special]
    texts = [text for one in rendered for text, is_special in one.segments if not is_special]
    if tokeniser.vocabulary.tokenizer_json:
        assert isinstance(tokeniser.reference, Tokenizers)
        parts, checked = tokeniser.reference.encode_with_offsets(texts), Checked(0)
    else:
        found, checked = _encode(tokeniser, pa.array(texts, pa.large_string()))
        parts = [_byte_places(ids, tokeniser) for ids in found]
    special = tokeniser.vocabulary.special_tokens
    encoded, at = [], 0
    for one in rendered:
        ids, begins, ends, place = [_ids(None)], [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
        bytewise = not tokeniser.vocabulary.tokenizer_json
        for text, is_special in one.segments:
            length = len(text.encode()) if bytewise else len(text)
            if is_special:
                ids.append(_ids(special[text]))
                begins.append(np.array([place]))
                ends.append(np.array([place + length]))
            else:
                some, begin, end = parts[at]
                at += 1
                ids.append(some)
                begins.append(begin + place)
                ends.append(end + place)
            place += length
        whole = "".join(text for text, _ in one.segments)
        inside = _inside(whole, one.spans, bytewise=bytewise)
        marks = (inside[np.concatenate(ends)] > inside[np.concatenate(begins)]).astype(np.uint8)
        encoded.append((np.concatenate(ids), marks))
    return encoded, checked, owners


def _byte_places(ids: Ids, tokeniser: Tokeniser) -> tuple[Ids, NDArray[np.int64], NDArray[np.int64]]:
    """Ids, and the bytes at which each begins and ends."""
    table = tokeniser.vocabulary.token_lengths
    ends = np.cumsum(table[ids], dtype=np.int64)
    return ids, ends - table[ids], ends


def _inside(text: str, spans: list[tuple[int, int]], *, bytewise: bool) -> NDArray[np.int64]:
    """Characters (or bytes) inside a span before each place of the text: int64[length + 1]."""
    change = np.zeros(len(text) + 1, np.int64)
    for begin, end in spans:
        change[begin] += 1
        change[end] -= 1
    inside = np.cumsum(change)[:-1] > 0
    if bytewise:
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        inside = np.repeat(inside, 1 + (points > 0x7F) + (points > 0x7FF).astype(np.int64) + (points > 0xFFFF))
    return np.concatenate([[0], np.cumsum(inside)])
