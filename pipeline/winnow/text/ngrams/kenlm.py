"""KenLM's own binary models, through its library: texts become Python objects here, so ARPA files are faster."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from winnow.text.ngrams.model import Scores


class KenlmError(ValueError):
    """A binary model of KenLM cannot be used."""


def check_kenlm(path: str, tokens: str) -> None:
    """Look whether a binary model can be read with these settings.

    Raises:
        KenlmError: the library is not installed, or tokens are not those of KenLM.
    """
    name = Path(path).name
    if tokens != "whitespace":
        raise KenlmError(
            f"{name}: is a binary model of KenLM, whose tokens are `whitespace`; `words` need its .arpa file"
        )
    if importlib.util.find_spec("kenlm") is None:
        raise KenlmError(
            f"{name}: is a binary model of KenLM, and its library is not installed: `pip install "
            "winnow-corpus[kenlm]`, here and on every node, or name the .arpa file that it was built from"
        )


class KenlmModel:
    """A binary model; one a process, mapped."""

    def __init__(self, path: str, *, by_line: bool) -> None:
        library = importlib.import_module("kenlm")  # an extra
        try:
            self._model: Any = library.Model(path)
        except (OSError, RuntimeError) as error:
            raise KenlmError(f"{Path(path).name}: KenLM cannot read it: {error}; build it again") from error
        self._by_line = by_line

    def __call__(self, texts: pa.Array) -> Scores:
        """Scores of texts large_string[N]."""
        found = Scores(np.zeros(len(texts)), *np.zeros((3, len(texts)), np.int64))
        for row, text in enumerate(texts.to_pylist()):
            for sentence in text.split("\n") if self._by_line else [text]:
                words = sentence.encode().split()
                if not words:
                    continue
                scored = list(self._model.full_scores(sentence))
                found.log10[row] += sum(value for value, _, _ in scored)
                found.tokens[row] += len(words)
                found.sentences[row] += 1
                found.unknown[row] += sum(is_unknown for _, _, is_unknown in scored[:-1])
        return found
