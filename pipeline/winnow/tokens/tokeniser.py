"""Text columns to token ids, equal to the reference library and checked against it.

Legend: N documents, T tokens.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.tokens.config import TokeniserConfig
from winnow.tokens.cuts import cut_long
from winnow.tokens.engines import Engine, EngineError, fast_engine, reference_engine
from winnow.tokens.vocabulary import Vocabulary, load_vocabulary

_GROUP_BYTES = 16 << 20
"""Text handed to the engine at a time: its own results are twice as wide as ours and exist once more
beside them."""
_PART_BYTES = 1 << 20
_CHECKED_BYTES = 1 << 16
"""Of a longer document only the first part of about this size is compared: the reference is slow."""
_MAX_CHECKED_BYTES = 4 << 20
_LAST_TOKENS = 64
"""Tokens before a place that is no proven cut: they are not compared."""
_SOFT_BYTES = 1 << 15
"""The engine's time for an unsplit run grows faster than the run: 32 KB keeps it inside the processor's
cache."""
_OVERLAP_TOKENS = 16
"""Tokens taken along over a soft cut; the last few before a cut are the ones that what follows can change."""

TokenIds = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class TokenisedTexts:
    """The ids of N documents, one after the other, without any special token."""

    ids: TokenIds
    """uint16[T] or uint32[T], as ``Vocabulary.dtype``."""
    offsets: NDArray[np.int64]
    """int64[N + 1]; document i has ``ids[offsets[i] : offsets[i + 1]]``."""


@dataclass(frozen=True)
class Mismatch:
    """One document whose ids are not the reference's, or do not decode to its text."""

    row: int
    """Row in the batch."""
    reason: str


@dataclass(frozen=True)
class Checked:
    """What a comparison with the reference found."""

    documents: int
    """Documents compared."""
    mismatches: list[Mismatch] = field(default_factory=list)
    """Documents whose ids differ from the reference's or, for rank files, do not decode to the text."""
    lossy: int = 0
    """Documents that a ``tokenizer.json`` does not give back byte for byte (it may normalise): counted, no
    fault."""
    unchecked: int = 0
    """Documents of the sample that the reference cannot encode: megabytes without a place to cut."""


class Tokeniser:
    """Encodes text columns. One for each process: the engine remembers words, so it becomes faster as it
    works.

    Raises:
        ValueError, FileNotFoundError: as ``load_vocabulary``, and where the engine does not know the split
        pattern.
    """

    def __init__(self, config: TokeniserConfig) -> None:
        self.config = config
        self.vocabulary: Vocabulary = load_vocabulary(config)
        self._reference: Engine | None = None
        if config.engine == "gigatoken":
            self._engine: Engine = fast_engine(self.vocabulary, config.cache_mb)
        else:
            self._engine = self.reference
        # The cuts are proven for the named patterns only.
        self._cuts = self.vocabulary.has_known_pattern
        self._part_bytes, self._soft_bytes, self._overlap_tokens = _PART_BYTES, _SOFT_BYTES, _OVERLAP_TOKENS
        self._token_bytes: NDArray[np.int64] | None = None

    @property
    def engine(self) -> str:
        """Library that encodes: gigatoken, tiktoken or tokenizers."""
        return self._engine.name

    @property
    def reference(self) -> Engine:
        """The library that defines the ids; built on first use."""
        if self._reference is None:
            self._reference = reference_engine(self.vocabulary)
        return self._reference

    def encode(self, texts: pa.Array) -> TokenisedTexts:
        """Ids of every document.

        In: large_string[N] without nulls. Out: ids of the N documents in row order, special tokens in the
        text encoded as ordinary text, no token added at either end.
        Invariant: a document's ids do not depend on the other documents.
        Raises: TypeError, ValueError for another type or nulls.
        """
        return self._encode(texts, self._engine)

    def check(self, texts: pa.Array, tokenised: TokenisedTexts) -> Checked:
        """Compare a sample of documents with the reference: same ids, and ids that decode to the text.

        The sample is the first document and those whose xxh3_64 falls into ``check_share``, so a fault of the
        engine that touches only other documents is not seen. Of a document of more than 64 KB the first part
        is compared. A ``tokenizer.json`` may normalise text (lower case, spaces ...), so there a
        decoding that differs is counted as ``lossy`` and is no mismatch.
        """
        data, offsets = string_buffers(texts)
        rows = self._sample(data, offsets)
        mismatches: list[Mismatch] = []
        lossy = unchecked = 0
        for row in rows:
            start, end = int(offsets[row]), int(offsets[row + 1])
            ids = tokenised.ids[tokenised.offsets[row] : tokenised.offsets[row + 1]]
            stop = self._end_of_first_part(data, start, end)
            try:
                if stop - start > _MAX_CHECKED_BYTES:
                    raise EngineError("too long a stretch without a cut")
                expected = self._encode_one(data, start, stop, self.reference)
                if stop < end and not self._cuts:
                    expected = expected[:-_LAST_TOKENS]  # what follows can change the last tokens before any place
                    if not np.array_equal(ids[: len(expected)], expected):  # or more of them: then all must be compared
                        stop = end
                        expected = self._encode_one(data, start, stop, self.reference)
            except EngineError:
                unchecked += 1
                continue
            text = data[start:stop].tobytes()
            if stop < end:
                ids = ids[: len(expected)]
            if not np.array_equal(ids, expected):
                at = _first_difference(ids, expected)
                mismatches.append(Mismatch(row, f"token {at} of {len(ids)} differs from {self.reference.name}"))
            elif self.vocabulary.tokenizer_json:
                decoded = self.vocabulary.decode(ids)
                lossy += not text.startswith(decoded) if stop < end else decoded != text
            elif self.vocabulary.decode(ids) != text:
                mismatches.append(Mismatch(row, "its ids do not decode to its text"))
        return Checked(len(rows) - unchecked, mismatches, lossy, unchecked)

    def encode_checked(self, texts: pa.Array) -> tuple[TokenisedTexts, Checked]:
        """Encode and check. A batch with a mismatch is encoded again by the reference, and the mismatch
        reported."""
        tokenised = self.encode(texts)
        checked = self.check(texts, tokenised)
        if checked.mismatches:
            tokenised = self._encode(texts, self.reference)
        return tokenised, checked

    def samples(self, text: bytes) -> bool:
        """Whether a text is one of those that are compared with the reference, by its hash."""
        return xxhash.xxh3_64_intdigest(text) < int(self.config.check_share * 2.0**64)

    def _sample(self, data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> list[int]:
        limit = int(self.config.check_share * 2.0**64)
        view = memoryview(data)  # type: ignore[arg-type]  # numpy arrays are buffers
        bounds = offsets.tolist()
        return [
            row
            for row in range(len(bounds) - 1)
            if row == 0 or xxhash.xxh3_64_intdigest(view[bounds[row] : bounds[row + 1]]) < limit
        ]

    def _end_of_first_part(self, data: NDArray[np.uint8], start: int, end: int) -> int:
        """Where the part of a document that is compared ends: at a cut, so that it has the same ids alone; where no cut
        is known, before a character, a blank if one is near."""
        part_bytes = min(self._part_bytes, _CHECKED_BYTES)
        if end - start <= part_bytes:
            return end
        if not self._cuts:
            part = data[start : start + part_bytes + 1]
            blanks = np.flatnonzero((part == 32) | (part == 10))
            begins = np.flatnonzero((part & 0xC0) != 0x80)
            near = blanks[blanks > part_bytes // 2]
            return start + int(near[-1] if len(near) else begins[-1])
        ends, floors = cut_long(data, start, end, part_bytes, end - start, end - start)
        return int(ends[np.argmax(floors < 0)])

    def _encode(self, texts: pa.Array, engine: Engine) -> TokenisedTexts:
        data, offsets = string_buffers(texts)
        joined: list[TokenIds] = []
        lengths = np.zeros(len(texts) + 1, np.int64)
        row = 0
        while row < len(texts):
            if offsets[row + 1] - offsets[row] > _GROUP_BYTES or (
                self._cuts and offsets[row + 1] - offsets[row] > self._part_bytes
            ):
                parts = self._encode_long(data, int(offsets[row]), int(offsets[row + 1]), engine)
                joined.extend(parts)
                lengths[row + 1] = sum(map(len, parts))
                row += 1
                continue
            stop = self._group_end(offsets, row)
            ids, token_offsets = engine.encode(data, offsets[row : stop + 1])
            joined.append(ids.astype(self.vocabulary.dtype, copy=False))
            lengths[row + 1 : stop + 1] = np.diff(token_offsets)
            row = stop
        ids = np.concatenate(joined) if len(joined) > 1 else (joined or [np.empty(0, self.vocabulary.dtype)])[0]
        return TokenisedTexts(ids, np.cumsum(lengths))

    def _group_end(self, offsets: NDArray[np.int64], row: int) -> int:
        """Row behind the last document that goes to the engine together with ``row``."""
        stop = int(np.searchsorted(offsets, offsets[row] + _GROUP_BYTES, side="right")) - 1
        stop = max(min(stop, len(offsets) - 1), row + 1)
        if self._cuts:
            long = np.flatnonzero(np.diff(offsets[row : stop + 1]) > self._part_bytes)
            if len(long):
                stop = row + int(long[0])
        return stop

    def _encode_one(self, data: NDArray[np.uint8], start: int, end: int, engine: Engine) -> TokenIds:
        return np.concatenate(self._encode_long(data, start, end, engine))

    def _encode_long(self, data: NDArray[np.uint8], start: int, end: int, engine: Engine) -> list[TokenIds]:
        """One document in parts (see cuts.py)."""
        dtype = self.vocabulary.dtype
        if not self._cuts:
            return [engine.encode(data, np.array([start, end], np.int64))[0].astype(dtype, copy=False)]
        if self._token_bytes is None:
            self._token_bytes = self.vocabulary.token_lengths
        min_run = (self._overlap_tokens + 1) * int(self._token_bytes.max())
        ends, floors = cut_long(data, start, end, self._part_bytes, self._soft_bytes, min_run)
        parts: list[TokenIds] = []
        part_start = start
        first = 0
        while first < len(ends):
            if floors[first] < 0:  # independent parts go to the engine together
                last = first
                while last + 1 < len(ends) and floors[last + 1] < 0 and ends[last + 1] - part_start <= _GROUP_BYTES:
                    last += 1
                bounds = np.concatenate(([part_start], ends[first : last + 1]))
                parts.append(engine.encode(data, bounds)[0].astype(dtype, copy=False))
            else:
                last = first + int(np.argmax(floors[first:] < 0))
                parts.extend(
                    self._encode_joined(data, part_start, ends[first : last + 1], floors[first : last + 1], engine)
                )
            part_start, first = int(ends[last]), last + 1
        return parts

    def _encode_joined(
        self,
        data: NDArray[np.uint8],
        start: int,
        ends: NDArray[np.int64],
        floors: NDArray[np.int64],
        engine: Engine,
    ) -> list[TokenIds]:
        """Parts between soft cuts, each encoded with the last tokens of the one before it."""
        assert self._token_bytes is not None
        dtype = self.vocabulary.dtype
        parts: list[TokenIds] = [engine.encode(data, np.array([start, ends[0]], np.int64))[0].astype(dtype, copy=False)]
        for part in range(1, len(ends)):
            before = parts[-1]
            # Places where the tokens of the part before begin, last first, as far as the run reaches back.
            begins = int(ends[part - 1]) - np.cumsum(self._token_bytes[before[::-1]])
            taken = self._overlap_tokens
            while True:
                if taken > len(begins) or begins[taken - 1] <= floors[part - 1]:
                    # Never seen; an engine that cannot be joined here gets the whole run at once.
                    whole = engine.encode(data, np.array([start, ends[-1]], np.int64))[0]
                    return [whole.astype(dtype, copy=False)]
                begin = int(begins[taken - 1])
                if data[begin] & 0xC0 == 0x80:  # a token that begins inside a character
                    taken += 1
                    continue
                ids = engine.encode(data, np.array([begin, ends[part]], np.int64))[0]
                if len(ids) and ids[0] == before[-taken]:
                    break
                taken *= 2
            parts[-1] = before[:-taken]
            parts.append(ids.astype(dtype, copy=False))
        return parts


def with_first_token(texts: TokenisedTexts, first_token: int | None) -> TokenisedTexts:
    """The same documents, each with one more id before its first (none: as they are)."""
    if first_token is None:
        return texts
    ids = np.insert(texts.ids, texts.offsets[:-1], first_token)
    return TokenisedTexts(ids, texts.offsets + np.arange(len(texts.offsets)))


def _first_difference(left: TokenIds, right: TokenIds) -> int:
    shared = min(len(left), len(right))
    different = np.flatnonzero(left[:shared] != right[:shared])
    return int(different[0]) if len(different) else shared
