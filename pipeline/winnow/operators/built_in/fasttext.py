"""``use: fasttext``: how probable labels of a fastText model are, as signals."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from winnow.numeric.jit import compile_once
from winnow.operators.marks import signal
from winnow.text.fasttext.file import read_labels
from winnow.text.fasttext.predict import PREFIX, Classifier, label_numbers, listed

_PLAIN = "A text of a few words,\nfor kernels to be compiled with."


@signal(needs=["text"], version="1")
class FastText:
    """A supervised model, `.bin` or `.ftz`: the probability of `label`, or of each of `labels`."""

    def __init__(
        self,
        model: str,
        label: str | None = None,
        labels: Sequence[str] = (),
        newlines: str = "space",
        characters: int | None = None,
    ) -> None:
        self._names = self.columns(model, label, labels, newlines, characters)
        self._deletes, self._characters = newlines == "delete", characters
        self._classifier = Classifier(model, [label] if label is not None else labels)
        plain = pa.record_batch({"text": pa.array([_PLAIN], pa.large_string())})
        compile_once(f"fasttext, {self._classifier.variant}", lambda: self(plain))

    @staticmethod
    def columns(
        model: str,
        label: str | None = None,
        labels: Sequence[str] = (),
        newlines: str = "space",
        characters: int | None = None,
    ) -> tuple[str, ...]:
        """Names of the columns that there are with these settings; none where it is one number a document.

        Raises:
            ValueError: they cannot be, the model cannot be read, or it has not these labels.
        """
        if not isinstance(model, str):
            raise ValueError(f"model ({model!r:.60}) is no path of a .bin or .ftz file")
        if newlines not in ("space", "delete"):
            raise ValueError(f"newlines ({newlines!r:.60}) is neither space nor delete")
        if characters is not None and (type(characters) is not int or characters < 1):
            raise ValueError(f"characters ({characters!r:.60}) is no number from 1 on; leave it out for whole texts")
        if isinstance(labels, str) or not isinstance(labels, Sequence):
            raise ValueError(f"labels ({labels!r:.60}) is no list; for one label write `label`")
        wanted = [label] if label is not None else list(labels)
        if label is not None and labels:
            raise ValueError("label and labels are both given; one label is a column NAME, several are NAME.LABEL")
        for name in wanted:
            if not isinstance(name, str):
                raise ValueError(f"label ({name!r:.60}) is no text; write it in quotes")
        try:
            there = read_labels(model)
        except OSError as error:
            raise ValueError(
                f"model: {model}: {error.strerror or error}; a path is taken from the config's folder"
            ) from error
        if not wanted:
            raise ValueError(f"names no label: give `label`, or several as `labels`; the model has {listed(there)}")
        numbers = label_numbers(model, wanted, there)
        if len(set(numbers)) < len(numbers):
            raise ValueError("labels names a label twice")
        return () if label is not None else tuple(there[number].removeprefix(PREFIX) for number in numbers)

    def __call__(self, batch: pa.RecordBatch) -> pa.Array | dict[str, pa.Array]:
        """Probabilities; no value for a text that holds nothing the model knows."""
        texts = batch.column("text")
        if self._deletes:
            texts = pc.replace_substring(texts, "\n", "")
        found = self._classifier(texts, self._characters)
        if not self._names:
            return pa.array(found[:, 0])
        return {name: pa.array(np.ascontiguousarray(found[:, n])) for n, name in enumerate(self._names)}
