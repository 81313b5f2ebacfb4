"""Ids and marks of structured documents: conversations through their template, pairs with their separators.

Legend: N documents, T tokens.
"""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from winnow.sources.structured.chat import Rendered, TemplateSettings, render, spelled_names, unread_parts
from winnow.sources.structured.structure import conversation_of
from winnow.sources.structured.template_environment import ChatTemplateError
from winnow.tokens.conversations import encode_conversations
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
    refused: dict[int, str]
    """Conversations without ids, by row, and why: the template took them as they were read and refuses them normalised
    or with their special tokens' names as ordinary text, or the vocabulary cannot keep such a name apart."""
    spelled: Counter[str]
    """What looks like a special token's name, was written by the template and is none of the vocabulary's: in how many
    conversations."""
    unread: Counter[str]
    """Parts of messages of which the template writes nothing (`tool_calls`): in how many conversations."""


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
        settings: ``templates`` (source -> :class:`TemplateSettings` as JSON), ``row_tokens`` (pairs are cut to fit
            such a row), ``plain_mark`` (of plain documents' tokens).
    """
    parsed: list[Any] = [None if structure is None else orjson.loads(structure) for structure in structures]
    documents: list[_Document | None] = [None] * len(parsed)
    talks: list[Any] = [None if parts is None else conversation_of(parts) for parts in parsed]
    plain = [row for row, parts in enumerate(parsed) if parts is None]
    chats = [row for row, talk in enumerate(talks) if talk is not None]
    pairs = [row for row, parts in enumerate(parsed) if parts is not None and talks[row] is None]
    checks: list[tuple[Checked, list[int]]] = []
    truncated = 0
    refused: dict[int, str] = {}
    spelled: Counter[str] = Counter()
    unread: Counter[str] = Counter()

    if plain:
        found, checked = _encode(tokeniser, texts.take(pa.array(plain)))
        checks.append((checked, plain))
        first = _ids(tokeniser.vocabulary.first_token)
        for row, some in zip(plain, found, strict=True):
            ids = np.concatenate([first, some])
            mark = settings["plain_mark"]
            documents[row] = _Document(ids, np.full(len(ids), mark, np.uint8), mark)
    if chats:
        given = {row: talks[row] for row in chats}
        rendered, refused, unread = _render(tokeniser, given, sources, settings["templates"])
        spelled = _spelled(tokeniser, rendered, texts, chats)
        encoded = encode_conversations(tokeniser, rendered)
        checks.append((encoded.checked, chats))
        refused |= {chats[n]: "a special token's name in it cannot be kept apart" for n in sorted(encoded.refused)}
        for row, (ids, marks) in zip(chats, encoded.ids, strict=True):
            answered = int(len(ids) > 0 and talks[row]["messages"][-1]["role"] == "assistant")
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
    encoded_texts, ends, checked = _joined([d for d in documents if d is not None], checks)
    return MarkedTexts(encoded_texts, ends, checked, truncated, refused, spelled, unread)


def _render(
    tokeniser: Tokeniser, talks: dict[int, Any], sources: list[str], templates: dict[str, Any]
) -> tuple[list[Rendered], dict[int, str], Counter[str]]:
    """Each conversation as text, in the order given; those that are refused, with the reason; and what the templates
    do not read."""
    special, names = tuple(tokeniser.vocabulary.special_tokens), tokeniser.vocabulary.template_names
    found: dict[int, Rendered] = {}
    refused: dict[int, str] = {}
    unread: Counter[str] = Counter()
    for source in sorted({sources[row] for row in talks}):
        rows = [row for row in talks if sources[row] == source]
        settings = TemplateSettings.model_validate(templates[source])
        given = [talks[row] for row in rows]
        texts = render(settings, given, special, names)
        unread += unread_parts(settings, given, texts, special, names)
        for row, one in zip(rows, texts, strict=True):
            if isinstance(one, ChatTemplateError):
                refused[row] = str(one)
                found[row] = Rendered([], [], protected=False)
            else:
                found[row] = one
    return [found[row] for row in talks], refused, unread


def _spelled(tokeniser: Tokeniser, rendered: list[Rendered], texts: pa.Array, chats: list[int]) -> Counter[str]:
    special = frozenset(tokeniser.vocabulary.special_tokens)
    counts: Counter[str] = Counter()
    for row, one in zip(chats, rendered, strict=True):
        names = spelled_names(one.text, special)
        if names:
            said = texts[row].as_py()
            counts.update(name for name in names if name not in said)
    return counts


def _joined(
    documents: list[_Document], checks: list[tuple[Checked, list[int]]]
) -> tuple[TokenisedTexts, Marks, Checked]:
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
    return TokenisedTexts(with_marks(ids, marks), offsets), ends, checked


def _ids(token: int | None) -> NDArray[np.uint32]:
    return np.array([] if token is None else [token], np.uint32)


def _encode(tokeniser: Tokeniser, texts: pa.Array) -> tuple[list[Ids], Checked]:
    """Ids of each text."""
    encoded, checked = tokeniser.encode_checked(texts)
    return np.split(encoded.ids, encoded.offsets[1:-1]) if len(texts) else [], checked


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
