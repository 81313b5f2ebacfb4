"""The language of documents by a fastText model: its likeliest label, as a code of the kind that py3langid gives.

Legend: N documents, L labels.
"""

import numpy as np
import pyarrow as pa

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.jit import compile_once
from winnow.text.fasttext.predict import Classifier
from winnow.text.language.codes import NO_LANGUAGE, UNDETERMINED, codes_of_labels
from winnow.text.language.kernel import has_letters, prefixes

_PLAIN = ("A text of a few words,\nfor kernels to be compiled with.", "1")


class ModelIdentifier:
    """Names the language of every document, by a model. One for each process.

    In: large_string[N] without nulls. Out: dictionary<int16, string>[N], codes (:func:`codes_of_labels`).
    Invariant: the label is the one that fastText's ``predict`` gives the first ``characters`` of the text, newlines as
    spaces; ``und`` where that is less probable than ``min_probability``, and ``zxx`` where these characters hold no
    letter, or nothing that the model knows.
    Raises: ModelError, OSError: the model cannot be read. ValueError: a label is no language.
    """

    def __init__(self, path: str, characters: int, min_probability: float) -> None:
        self._classifier = Classifier(path)
        codes = codes_of_labels(self._classifier.labels)
        self.characters = characters
        self.labels: list[str] = list(dict.fromkeys((*codes, UNDETERMINED, NO_LANGUAGE)))
        """All codes, in the order of the dictionary."""
        numbers = {code: number for number, code in enumerate(self.labels)}
        self._code_of_label = np.array([numbers[code] for code in codes], np.int16)
        self._least = min_probability
        plain = pa.array(_PLAIN, pa.large_string())
        compile_once(f"language by fasttext, {self._classifier.variant}", lambda: self(plain))

    def __call__(self, texts: pa.Array) -> pa.Array:
        """Label every document."""
        data, offsets = string_buffers(texts)
        ends, _ = prefixes(data, offsets, self.characters)
        label, probability = self._classifier.likeliest(texts, self.characters)
        codes = self._code_of_label[label]
        codes[probability < self._least] = self.labels.index(UNDETERMINED)
        codes[(label < 0) | ~has_letters(data, offsets[:-1], ends)] = self.labels.index(NO_LANGUAGE)
        return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(self.labels, pa.string()))
