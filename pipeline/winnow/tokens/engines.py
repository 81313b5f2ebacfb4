"""The libraries that turn text into ids, behind one call on flat buffers.

Every engine here encodes special tokens in text as ordinary text and runs on the calling thread.

Legend: P pieces of text, T tokens.
"""

import base64
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from winnow.tokens.patterns import ENCODINGS
from winnow.tokens.probes import probes_of
from winnow.tokens.vocabulary import Vocabulary

_REBUILD_AFTER_BYTES = 512 << 20
"""Where the process's memory cannot be read: start anew after this much text."""


class EngineError(RuntimeError):
    """An engine gave up on a text (tiktoken: a regular expression that overflows its stack)."""


class Engine(Protocol):
    """Text in flat buffers -> ids in flat buffers."""

    name: str

    def encode(
        self, data: NDArray[np.uint8], bounds: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Encode pieces of text.

        Args:
            data: uint8[B], UTF-8.
            bounds: int64[P + 1]: piece i is ``data[bounds[i] : bounds[i + 1]]``.

        Returns:
            ids uint32[T], and offsets int64[P + 1] into them.
        """
        ...


class Gigatoken:
    """gigatoken: the fast engine.

    It remembers every word that it has encoded and never forgets, which makes it fast and lets its memory
    grow without limit on text of ever new words; so it starts anew once the process has grown by
    ``cache_mb``.
    """

    name = "gigatoken"

    def __init__(self, vocabulary: Vocabulary, cache_mb: int) -> None:
        self._vocabulary = vocabulary
        self._limit = cache_mb << 20
        self._backend = _gigatoken_backend(vocabulary)
        self._grown = 0

    def encode(
        self, data: NDArray[np.uint8], bounds: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """See Engine. The text is borrowed and the ids are handed over, both without a copy."""
        if self._grown > self._limit:
            del self._backend  # first let go: two caches at once is what the limit is there to prevent
            self._backend = _gigatoken_backend(self._vocabulary)
            self._grown = 0
        import awkward as ak  # noqa: PLC0415 - a quarter of a second that only this engine needs

        before = _resident_bytes()
        strings = ak.contents.ListOffsetArray(
            ak.index.Index64(bounds),
            ak.contents.NumpyArray(data, parameters={"__array__": "char"}),
            parameters={"__array__": "string"},
        )
        rows = self._backend.encode_batch(ak.Array(strings), parallel=False).layout
        ids = np.asarray(rows.content.data)
        offsets = np.asarray(rows.offsets.data)
        if before is None:
            self._grown += int(bounds[-1] - bounds[0]) * self._limit // _REBUILD_AFTER_BYTES
        else:
            self._grown += max(0, (_resident_bytes() or 0) - before - ids.nbytes)
        return ids[offsets[0] : offsets[-1]], offsets - offsets[0]


class Tiktoken:
    """tiktoken: the reference of every rank file."""

    name = "tiktoken"

    def __init__(self, vocabulary: Vocabulary, special_tokens: dict[str, int] | None = None) -> None:
        """``special_tokens`` stand in place of the vocabulary's."""
        from tiktoken import Encoding  # noqa: PLC0415 - only where it encodes or checks

        if vocabulary.pattern is None:
            raise ValueError(f"{vocabulary.name}: tiktoken needs a rank file and a split pattern")
        self._encoding = Encoding(
            vocabulary.name,
            pat_str=vocabulary.pattern.regex,
            mergeable_ranks=vocabulary.ranks,
            special_tokens=dict(vocabulary.special_tokens) if special_tokens is None else special_tokens,
        )

    def ids_of(self, text: str) -> NDArray[np.uint32]:
        """Ids of one text, special tokens' names in it as those tokens."""
        try:
            return self._encoding.encode_to_numpy(text, allowed_special="all", disallowed_special=())
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            raise EngineError(f"tiktoken cannot encode a text of {len(text)} characters: {error}") from error

    def encode(
        self, data: NDArray[np.uint8], bounds: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """See Engine."""
        return _flat([self._ids(_text(data, bounds, piece)) for piece in range(len(bounds) - 1)])

    def _ids(self, text: str) -> NDArray[np.uint32]:
        try:
            # With no special token allowed and none refused: encode_ordinary, without a list of Python ints.
            return self._encoding.encode_to_numpy(text, allowed_special=set(), disallowed_special=())
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # what its Rust side raises; no Exception
                raise
            raise EngineError(f"tiktoken cannot encode a text of {len(text)} characters: {error}") from error


class Tokenizers:
    """Hugging Face tokenizers: the reference of every tokenizer.json."""

    name = "tokenizers"

    def __init__(self, vocabulary: Vocabulary, *, special_tokens: bool = False) -> None:
        """With ``special_tokens`` names in text are those tokens; else ordinary text."""
        self._tokenizer = _tokenizer(json.loads(vocabulary.tokenizer_json), special_tokens=special_tokens)

    @classmethod
    def of_definition(cls, definition: dict[str, Any], *, special_tokens: bool) -> "Tokenizers":
        """From a parsed tokenizer.json."""
        made = cls.__new__(cls)
        made._tokenizer = _tokenizer(definition, special_tokens=special_tokens)
        return made

    def id_of(self, name: str) -> int | None:
        """Id of a token."""
        found: int | None = self._tokenizer.token_to_id(name)
        return found

    def encode(
        self, data: NDArray[np.uint8], bounds: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """See Engine."""
        return _flat(
            [
                np.array(
                    self._tokenizer.encode(_text(data, bounds, piece), add_special_tokens=False).ids,
                    np.uint32,
                )
                for piece in range(len(bounds) - 1)
            ]
        )

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids of one text, and the characters at which each begins and ends, blanks included."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return encoding.ids, encoding.offsets


def _tokenizer(definition: dict[str, Any], *, special_tokens: bool) -> Any:
    """The library's tokeniser, without what cuts, fills up, adds tokens or moves offsets."""
    from tokenizers import Tokenizer  # noqa: PLC0415 - for this kind of vocabulary only

    plain = {**definition, "truncation": None, "padding": None, "post_processor": None}
    tokenizer = Tokenizer.from_str(json.dumps(plain, ensure_ascii=False))
    tokenizer.encode_special_tokens = not special_tokens
    return tokenizer


def reference_engine(vocabulary: Vocabulary) -> Engine:
    """The library that defines what the ids of this vocabulary are."""
    return Tokenizers(vocabulary) if vocabulary.tokenizer_json else Tiktoken(vocabulary)


def fast_engine(vocabulary: Vocabulary, cache_mb: int) -> Engine:
    """gigatoken, or the reference for a vocabulary that gigatoken cannot read (of a rank file: ranks with holes), or of
    which it gives other ids for one of the probes: the same choice in every process. Published rank files are known.

    Raises:
        ValueError: a split pattern of one's own, which gigatoken does not know.
    """
    if vocabulary.pattern is not None and vocabulary.pattern.gigatoken is None:
        raise ValueError(
            "tokenise.engine (gigatoken) knows only the named patterns; "
            "for a regular expression of your own set tokenise.engine to tiktoken"
        )
    if _is_published(vocabulary):
        return Gigatoken(vocabulary, cache_mb)
    reference = reference_engine(vocabulary)
    definition = vocabulary.tokenizer_json
    if definition and json.loads(definition)["model"].get("type", "BPE") != "BPE":
        return reference
    try:
        engine = Gigatoken(vocabulary, cache_mb)
        same = _same_ids(engine, reference, probes_of(definition))
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # of its Rust side
            raise
        return reference
    return engine if same else reference


def _same_ids(one: Engine, other: Engine, texts: list[str]) -> bool:
    """Whether two engines give the same ids for each text."""
    encoded = [text.encode() for text in texts]
    data = np.frombuffer(b"".join(encoded), np.uint8)
    bounds = np.cumsum([0, *map(len, encoded)]).astype(np.int64)
    (ids, offsets), (expected, places) = one.encode(data, bounds), other.encode(data, bounds)
    return np.array_equal(offsets, places) and np.array_equal(ids, expected)


def _is_published(vocabulary: Vocabulary) -> bool:
    """Whether its rank file is that of a named encoding to the byte; those have their ranks in order."""
    return not vocabulary.tokenizer_json and vocabulary.sha256 in {known.sha256 for known in ENCODINGS.values()}


def _in_order(ranks: Mapping[bytes, int]) -> bytes:
    """A rank file with rising ranks, as gigatoken wants it."""
    lines = sorted(ranks.items(), key=lambda entry: entry[1])
    return b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for token, rank in lines)


def _gigatoken_backend(vocabulary: Vocabulary) -> Any:
    from gigatoken.gigatoken_rs import BPETokenizer, load_hf_json  # noqa: PLC0415 - for this engine only

    if vocabulary.tokenizer_json:
        # It has no switch like encode_special_tokens, but knows only the special tokens that it is told of.
        definition = json.loads(vocabulary.tokenizer_json)
        definition["added_tokens"] = [
            token for token in definition.get("added_tokens") or [] if not token.get("special")
        ]
        return load_hf_json(json.dumps(definition, ensure_ascii=False))
    if vocabulary.pattern is None:
        raise ValueError(f"{vocabulary.name}: gigatoken needs a rank file and a split pattern")
    descriptor, path = tempfile.mkstemp(suffix=".tiktoken")  # it reads rank files by path only
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(vocabulary.rank_file if _is_published(vocabulary) else _in_order(vocabulary.ranks))
        return BPETokenizer.from_tiktoken(path, str(vocabulary.pattern.gigatoken), {})
    finally:
        Path(path).unlink()


def _resident_bytes() -> int | None:
    """Memory of this process, or None where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def _text(data: NDArray[np.uint8], bounds: NDArray[np.int64], piece: int) -> str:
    return data[bounds[piece] : bounds[piece + 1]].tobytes().decode()


def _flat(rows: list[NDArray[np.uint32]]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    ids = np.concatenate(rows) if rows else np.empty(0, np.uint32)
    return ids.astype(np.uint32, copy=False), offsets
