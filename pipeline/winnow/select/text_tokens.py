"""Texts to token ids by a model's ``tokenizer.json``, on CPUs, without torch."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.select.model_folder import ModelFolder, load_tokeniser

CHARACTERS_A_TOKEN = 12
"""Of a long text this many characters for each token wanted are tokenised first; all of it only if they do not do."""
_MARGIN = 8
"""Tokens that a cut text must have beyond those wanted, so that the cut cannot have changed them."""


class TextTokens:
    """The tokeniser of a model's folder."""

    def __init__(self, model: ModelFolder, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        self._lower_case = model.lower_case
        self._tokeniser = load_tokeniser(Path(model.transformer))
        self._tokeniser.no_padding()
        self._tokeniser.enable_truncation(max_tokens + _MARGIN)
        self._ending = self._closing_tokens()

    def __call__(self, texts: pa.Array) -> pa.Array:
        """Ids large_list<int32>[N] of large_string[N], special tokens included, cut at ``max_tokens``."""
        strings = [text.lower() for text in texts.to_pylist()] if self._lower_case else texts.to_pylist()
        shortened = [_first_words(text, self._max_tokens * CHARACTERS_A_TOKEN) for text in strings]
        ids = self._encode(shortened)
        wanted = self._max_tokens + _MARGIN
        again = [
            n
            for n, (short, whole) in enumerate(zip(shortened, strings, strict=True))
            if len(short) < len(whole) and len(ids[n]) < wanted
        ]
        for n, found in zip(again, self._encode([strings[n] for n in again]), strict=True):
            ids[n] = found
        ids = [self._cut(found) for found in ids]
        offsets = np.concatenate([[0], np.cumsum([len(found) for found in ids], dtype=np.int64)])
        flat = np.concatenate([np.empty(0, np.int32), *ids]).astype(np.int32)
        return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(flat, pa.int32()))

    def _encode(self, texts: list[str]) -> list[NDArray[np.int32]]:
        return [np.array(e.ids, np.int32) for e in self._tokeniser.encode_batch(texts)] if texts else []

    def _cut(self, ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """The first ``max_tokens``, closed by what closes a text of this model (its end tokens, if it has any)."""
        if len(ids) <= self._max_tokens:
            return ids
        return np.concatenate([ids[: self._max_tokens - len(self._ending)], self._ending])

    def _closing_tokens(self) -> NDArray[np.int32]:
        bare = len(self._tokeniser.encode("a", add_special_tokens=False).ids)
        closed = self._tokeniser.encode("a")
        begins = closed.special_tokens_mask.index(0) if 0 in closed.special_tokens_mask else 0
        return np.array(closed.ids[begins + bare :], np.int32)


def _first_words(text: str, characters: int) -> str:
    """The text cut at white space after so many characters; whole where it is shorter or has no white space there."""
    if len(text) <= characters:
        return text
    end = text.find(" ", characters, 2 * characters)
    return text[:end] if end > 0 else text
