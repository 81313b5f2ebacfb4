"""``use: perplexity``: how probable texts are by a language model of n-grams, as signals."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.jit import compile_once
from winnow.operators.files import hash_of_file
from winnow.operators.marks import signal
from winnow.text.ngrams.arpa import is_kenlm_binary, read_arpa, read_counts
from winnow.text.ngrams.kenlm import KenlmModel, check_kenlm
from winnow.text.ngrams.model import Scores, score
from winnow.text.ngrams.tokens import TokenKind, tokens_of

VALUES = ("perplexity", "bits_per_word", "bits_per_byte", "unknown")
_BITS = float(np.log2(10))
_LARGEST = float(np.finfo(np.float32).max)
_PLAIN = "A text of a few words,\nfor kernels to be compiled with."


@signal(needs=["text"], version="1")
class Perplexity:
    """A model in an ARPA file, or in a binary one of KenLM: `value`, or each of `values`."""

    def __init__(
        self,
        model: str,
        value: str = "perplexity",
        values: Sequence[str] = (),
        tokens: str = "whitespace",
        sentences: str = "line",
    ) -> None:
        self._names = self.columns(model, value, values, tokens, sentences)
        self._values = self._names or (value,)
        self._score = _scorer(model, tokens, by_line=sentences == "line")
        plain = pa.record_batch({"text": pa.array([_PLAIN], pa.large_string())})
        compile_once(f"perplexity, {tokens}", lambda: self(plain))

    @staticmethod
    def columns(
        model: str,
        value: str = "perplexity",
        values: Sequence[str] = (),
        tokens: str = "whitespace",
        sentences: str = "line",
    ) -> tuple[str, ...]:
        """Names of the columns that there are with these settings; none where it is one number a document.

        Raises:
            ValueError: they cannot be, or the model cannot be read.
        """
        if not isinstance(model, str):
            raise ValueError(f"model ({model!r:.60}) is no path of an .arpa file, or of a binary one of KenLM")
        if tokens not in ("whitespace", "words"):
            raise ValueError(f"tokens ({tokens!r:.60}) is neither whitespace nor words")
        if sentences not in ("line", "document"):
            raise ValueError(f"sentences ({sentences!r:.60}) is neither line nor document")
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise ValueError(f"values ({values!r:.60}) is no list; for one write `value`")
        for name in (value, *values):
            if name not in VALUES:
                raise ValueError(f"value ({name!r:.60}) is none of {', '.join(VALUES)}")
        if len(set(values)) < len(values):
            raise ValueError("values names one twice")
        try:
            if is_kenlm_binary(model):
                check_kenlm(model, tokens)
            else:
                read_counts(model)
        except OSError as error:
            raise ValueError(
                f"model: {model}: {error.strerror or error}; a path is taken from the config's folder"
            ) from error
        return tuple(values)

    def __call__(self, batch: pa.RecordBatch) -> pa.Array | dict[str, pa.Array]:
        """The values; none for a text without a token."""
        texts = batch.column("text")
        found = self._score(texts)
        columns = [pa.array(_value(name, found, texts)) for name in self._values]
        return dict(zip(self._names, columns, strict=True)) if self._names else columns[0]


def _value(name: str, found: Scores, texts: pa.Array) -> NDArray[np.float32]:
    """float32[N], NaN where there is no token."""
    with np.errstate(all="ignore"):
        words = found.tokens + found.sentences
        if name == "unknown":
            values = found.unknown / found.tokens
        elif name == "perplexity":
            values = 10.0 ** (-found.log10 / words)
        else:
            parts = words if name == "bits_per_word" else np.diff(string_buffers(texts)[1])
            values = -found.log10 * _BITS / parts
        return np.where(found.tokens > 0, np.minimum(values, _LARGEST), np.nan).astype(np.float32)


def _scorer(path: str, tokens: str, *, by_line: bool) -> Callable[[pa.Array], Scores]:
    if is_kenlm_binary(path):
        return KenlmModel(path, by_line=by_line)
    kind: TokenKind = "words" if tokens == "words" else "whitespace"
    model = read_arpa(path, kind, hash_of_file(Path(path)))
    return lambda texts: score(model, tokens_of(texts, kind, by_line=by_line))
