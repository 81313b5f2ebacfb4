"""Which language a document is written in: py3langid's label, at the speed of a table walk.

py3langid 0.4 walks a state machine over the UTF-8 bytes, counts the features that states emit, and adds for
every language ``log1p(count) * weight`` over the features seen (naive Bayes). The kernel does the same walk;
the weights are half floats, which are exact multiples of 1/512, so the sum over all features of equal count
is exact in integers and the whole score exact but for a few roundings in float64. py3langid itself sums in
float32, in the order of its linear algebra library: where the two best languages are closer than the error
bound of that sum, its own expression decides.

Source: M. Lui, T. Baldwin, "langid.py: An Off-the-shelf Language Identification Tool", ACL 2012; py3langid
0.4.
Legend: N documents, B bytes, S states, R distinct rows of the state machine, F features, L columns (languages
and scripts).
"""

from array import array
from functools import cached_property
from importlib.metadata import version

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from py3langid import langid

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.cached_arrays import Arrays, prepared_arrays
from winnow.text.language.codes import NO_LANGUAGE
from winnow.text.language.config import LanguageConfig
from winnow.text.language.kernel import NOT_SURE, Machine, best_columns, has_letters, prefixes

_SCALE = 512
"""Weights are multiples of 1/512: half floats of 2 to 16 in magnitude have spacing 1/512 to 1/128."""


_PADDING = 32
"""Columns of the weights come in multiples of this."""


class LanguageIdentifier:
    """Names the language of every document. One for each process.

    In: large_string[N] without nulls. Out: dictionary<int16, string>[N], ISO 639 codes (``zxx`` is no
    language).
    Invariant: the label is ``py3langid.classify(text[:characters])[0]``, batch by batch the same, and ``zxx`` where
    these characters hold no letter, of which the model would say anything. (Where two
    languages are within float32 rounding of each other that function's own answer may depend on the
    processor.)
    Raises: TypeError, ValueError for another column type or nulls; ValueError for a py3langid of another
    kind.
    """

    def __init__(self, config: LanguageConfig) -> None:
        self.characters = config.limit
        model = prepared_arrays("language", (version("py3langid"),), _model)
        self._model = model
        self._machine = Machine(*(model[name] for name in Machine._fields))
        self._classes: list[str] = model["classes"].tolist()
        self.labels: list[str] = list(dict.fromkeys(self._classes))
        """All labels, in the order of the dictionary."""
        numbers = {label: number for number, label in enumerate(self.labels)}
        self._label_of_column = np.array([numbers[label] for label in self._classes], np.int16)
        # A character is 4 bytes at most, and composing or lower-casing makes 3 times as many of them at most.
        self._log_counts = np.log1p(np.arange(12 * config.limit + 2, dtype=np.float32)).astype(np.float64)

    @cached_property
    def _reference(self) -> langid.LanguageIdentifier:
        """py3langid's own, for documents between two languages; made when the first one comes."""
        model = self._model
        moves, rows = array("I"), array("H")
        moves.frombytes(model["state_moves"].tobytes())
        rows.frombytes(model["state_rows"].tobytes())
        return langid.LanguageIdentifier(
            model["reference_weights"],
            model["reference_priors"],
            self._classes,
            moves,
            model["emitted"].tolist(),
            tk_row=rows,
        )

    def __call__(self, texts: pa.Array) -> pa.Array:
        """Label every document."""
        data, offsets = string_buffers(texts)
        ends, plain = prefixes(data, offsets, self.characters)
        starts = offsets[:-1]
        labels = np.empty(len(texts), np.int16)
        rows = np.flatnonzero(plain)
        labels[rows] = self._identify(data, starts[rows], ends[rows])
        rows = np.flatnonzero(~plain)
        if len(rows):
            # py3langid lower-cases text that is all capitals and composes accents; Python's tables know how.
            encoded = [reference_encode(data[starts[row] : ends[row]].tobytes().decode()) for row in rows.tolist()]
            bounds = np.zeros(len(rows) + 1, np.int64)
            np.cumsum([len(text) for text in encoded], out=bounds[1:])
            labels[rows] = self._identify(np.frombuffer(b"".join(encoded), np.uint8), bounds[:-1], bounds[1:])
        labels[~has_letters(data, starts, ends)] = self.labels.index(NO_LANGUAGE)
        return pa.DictionaryArray.from_arrays(pa.array(labels), pa.array(self.labels, pa.string()))

    def _identify(
        self, data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> NDArray[np.int16]:
        labels = best_columns(
            data,
            starts,
            ends,
            self._machine,
            int(self._model["state_rows"][0]),
            self._model["weights"],
            self._model["priors"],
            self._log_counts,
            self._label_of_column,
        )
        for row in np.flatnonzero(labels == NOT_SURE).tolist():
            labels[row] = self._label_of_column[self._decide(data[starts[row] : ends[row]].tobytes())]
        return labels

    def _decide(self, encoded: bytes) -> int:
        """py3langid's own float32 scores and choice (its ``_decide`` and ``classify``), for text that is
        encoded."""
        scores = self._reference._raw_score(encoded)
        for first, other in self._reference._alias_pairs:
            scores[first] = max(scores[first], scores[other])
            scores[other] = langid.RAW_FLOOR
        return int(scores.argmax())


def _model() -> Arrays:
    """The installed model, in the form that the kernel walks.

    Raises:
        ValueError: a py3langid of another kind.
    """
    reference = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE)
    features, columns = reference.nb_ptc.shape
    scaled = reference.nb_ptc.astype(np.float32) * np.float32(_SCALE)
    # Rows are padded so that whole vector registers are added.
    weights = np.zeros((features + 1, -(-columns // _PADDING) * _PADDING), np.int16)
    weights[:-1, :columns] = scaled
    if reference.tk_nextmove.itemsize != 4 or not np.array_equal(weights[:-1, :columns], scaled):
        raise ValueError(
            "the model of the installed py3langid is of another kind than that of 0.4, whose labels are "
            "promised; install py3langid 0.4"
        )
    moves = np.frombuffer(reference.tk_nextmove, np.uint32)
    rows = np.frombuffer(reference.tk_row, np.uint16)
    emitted = np.array(reference.tk_output, np.int32)
    return {
        "reference_weights": reference.nb_ptc,
        "reference_priors": reference.nb_pc,
        "weights": weights,
        "priors": reference.nb_pc.astype(np.float64),
        "classes": np.array(reference.nb_classes),
        "state_moves": moves,
        "state_rows": rows,
        "emitted": emitted,
        **_machine(moves.reshape(-1, 256), rows, emitted)._asdict(),
    }


def _machine(moves: NDArray[np.uint32], rows: NDArray[np.uint16], emitted: NDArray[np.int32]) -> Machine:
    """The machine of py3langid's tables: ``moves`` [R, 256] to states, ``rows`` [S], ``emitted`` [S], -1 for none."""
    emitting = np.flatnonzero(emitted >= 0)
    emitting = emitting[np.argsort(rows[emitting], kind="stable")]
    first_features = np.searchsorted(rows[emitting], np.arange(len(moves))) - 1
    number = np.zeros(len(rows), np.uint32)  # from 1 among the states that emit something and are of one row
    number[emitting] = np.arange(len(emitting)) - first_features[rows[emitting]]
    columns, column_of = np.unique(moves, axis=1, return_index=False, return_inverse=True)
    # A byte that leads to many states is in many features: those of one language share cache lines.
    order = np.argsort([-len(np.unique(column)) for column in columns.T], kind="stable")
    classes = np.argsort(order)[column_of].astype(np.uint8)
    steps = np.zeros((len(moves), -(-len(order) // 16) * 16), np.uint32)  # in whole cache lines
    steps[:, : len(order)] = (rows.astype(np.uint32) << 8 | number)[columns[:, order]]
    return Machine(classes, steps, first_features.astype(np.int32), emitted[emitting])


def reference_encode(text: str) -> bytes:
    """What py3langid walks over for this text."""
    encoded: bytes = langid.LanguageIdentifier._encode(text)
    return encoded
