"""Ids and marks of structured documents: conversations and preference pairs through their template, pairs of texts with
their separators.

Legend: N documents, T tokens.
"""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from winnow.sources.structured.chat import Rendered, TemplateSettings, render, spelled_names, unread_parts
from winnow.sources.structured.structure import conversations_of
from winnow.sources.structured.template_environment import ChatTemplateError
from winnow.tokens.conversations import encode_conversations
from winnow.tokens.marks import with_marks
from winnow.tokens.preferences import PairError, joined_pair, with_answers_marked
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
    or with their special tokens' names as ordinary text, or the vocabulary cannot keep such a name apart. Preference
    pairs, too, whose answers agree or have no room."""
    unanswered: int
    """Conversations of which nothing is learned: the assistant says nothing in them."""
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
            so many), ``plain_mark`` (of plain documents' tokens).
    """
    parsed: list[Any] = [None if structure is None else orjson.loads(structure) for structure in structures]
    documents: list[_Document | None] = [None] * len(parsed)
    talks = [[] if parts is None else conversations_of(parts) for parts in parsed]
    plain = [row for row, parts in enumerate(parsed) if parts is None]
    pairs = [row for row, parts in enumerate(parsed) if parts is not None and not talks[row]]
    checks: list[tuple[Checked, list[int]]] = []
    truncated, unanswered = 0, 0
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
    if owners := [row for row, some in enumerate(talks) for _ in some]:
        given = [talk for some in talks for talk in some]
        rendered, reasons, unread = _render(tokeniser, given, [sources[row] for row in owners], settings["templates"])
        spelled = _spelled(tokeniser, rendered, texts, owners)
        preferences = [row for row in dict.fromkeys(owners) if len(talks[row]) > 1]
        if preferences:  # of which there are no others in a run
            rendered = _with_answers_marked(rendered, reasons)
        encoded = encode_conversations(tokeniser, rendered)
        checks.append((encoded.checked, owners))
        reasons |= dict.fromkeys(encoded.refused, "a special token's name in it cannot be kept apart")
        refused = {owners[n]: reasons[n] for n in sorted(reasons, reverse=True)}
        end_of_text = tokeniser.vocabulary.end_of_text
        for row, chosen, rejected in zip(preferences, encoded.ids[::2], encoded.ids[1::2], strict=False):
            documents[row] = _Document(_ids(None), np.empty(0, np.uint8), 0)
            if row in refused:
                continue
            try:
                pair = joined_pair(chosen, rejected, settings["row_tokens"], end_of_text)
            except PairError as error:
                refused[row] = str(error)
                continue
            documents[row] = _Document(pair.ids, pair.marks, 0)
            truncated += pair.is_cut
        for row, (ids, marks) in zip(owners, encoded.ids, strict=True) if not preferences else ():
            answered = int(len(ids) > 0 and talks[row][0]["messages"][-1]["role"] == "assistant")
            if len(ids) and ids[-1] == end_of_text:  # the rows add it
                documents[row] = _Document(ids[:-1], marks[:-1], int(marks[-1]))
            else:
                documents[row] = _Document(ids, marks, answered)
            unanswered += row not in refused and not answered and not marks.any()
    if pairs:
        both = pa.array([part for row in pairs for part in parsed[row]], pa.large_string())
        found, checked = _encode(tokeniser, both)
        checks.append((checked, [row for row in pairs for _ in range(2)]))
        for row, one, two in zip(pairs, found[::2], found[1::2], strict=True):
            documents[row], cut = _pair(one, two if parsed[row][1] else None, tokeniser, settings["row_tokens"])
            truncated += cut
    encoded_texts, ends, checked = _joined([d for d in documents if d is not None], checks)
    return MarkedTexts(encoded_texts, ends, checked, truncated, refused, unanswered, spelled, unread)


def _with_answers_marked(rendered: list[Rendered], reasons: dict[int, str]) -> list[Rendered]:
    """Two conversations a preference pair; what cannot be told apart is added to ``reasons``."""
    found = list(rendered)
    for n in range(0, len(rendered), 2):
        if n in reasons or n + 1 in reasons:
            continue
        try:
            found[n], found[n + 1] = with_answers_marked(rendered[n], rendered[n + 1])
        except PairError as error:
            reasons[n] = str(error)
    return found


def _render(
    tokeniser: Tokeniser, talks: list[Any], sources: list[str], templates: dict[str, Any]
) -> tuple[list[Rendered], dict[int, str], Counter[str]]:
    """Each conversation as text; those that are refused, by position, with the reason; what the templates do not
    read."""
    special, names = tuple(tokeniser.vocabulary.special_tokens), tokeniser.vocabulary.template_names
    found = [Rendered([], [], protected=False)] * len(talks)
    refused: dict[int, str] = {}
    unread: Counter[str] = Counter()
    for source in sorted(set(sources)):
        places = [n for n, of in enumerate(sources) if of == source]
        settings = TemplateSettings.model_validate(templates[source])
        given = [talks[n] for n in places]
        texts = render(settings, given, special, names)
        unread += unread_parts(settings, given, texts, special, names)
        for n, one in zip(places, texts, strict=True):
            if isinstance(one, ChatTemplateError):
                refused[n] = str(one)
            else:
                found[n] = one
    return found, refused, unread


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
