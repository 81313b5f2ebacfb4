"""``use: classifier``: what a sequence classifier or regression head of transformers says of texts, as signals."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from winnow.errors import ModelFolderError
from winnow.operators.marks import signal
from winnow.select.classifier import (
    ClassifierFolder,
    Score,
    TextClassifier,
    inspect_classifier,
    memory_of,
    output_numbers,
)

_SCORES: dict[str, Score] = {"auto": "auto", "softmax": "softmax", "sigmoid": "sigmoid", "raw": "raw"}
_PRECISIONS = ("fp32", "bf16")
_BATCH_TOKENS = 32_768


@signal(needs=["text"], version="1", gpu=True)
class Classifier:
    """A model of a local folder: the score of `label`, or of each of `labels`; after dedup, on GPUs or CPUs."""

    def __init__(
        self,
        model: str,
        label: str | int | None = None,
        labels: Sequence[str | int] = (),
        score: str = "auto",
        max_tokens: int | None = None,
        precision: str = "fp32",
        batch_tokens: int = _BATCH_TOKENS,
    ) -> None:
        self._names = self.columns(model, label, labels, score, max_tokens, precision, batch_tokens)
        folder = inspect_classifier(model, _SCORES[score])
        self._outputs = _outputs(folder, label, labels)
        self._classifier = TextClassifier(folder, max_tokens, precision, batch_tokens)

    @staticmethod
    def columns(
        model: str,
        label: str | int | None = None,
        labels: Sequence[str | int] = (),
        score: str = "auto",
        max_tokens: int | None = None,
        precision: str = "fp32",
        batch_tokens: int = _BATCH_TOKENS,
    ) -> tuple[str, ...]:
        """Names of the columns that there are with these settings; none where it is one number a document.

        Raises:
            ValueError: they cannot be, the model cannot be used, or it has not these labels.
        """
        if not isinstance(model, str) or not Path(model).is_dir():
            raise ValueError(
                f"model: {model!r:.200} is no folder of this machine; give that of a transformers model with "
                "safetensors, under the same path on every node"
            )
        for name, value, known in (("score", score, _SCORES), ("precision", precision, _PRECISIONS)):
            if value not in known:
                raise ValueError(f"{name} ({value!r:.60}) is none of {', '.join(known)}")
        for name, number in (("max_tokens", max_tokens), ("batch_tokens", batch_tokens)):
            if (number is not None or name == "batch_tokens") and (type(number) is not int or number < 1):
                raise ValueError(f"{name} ({number!r:.60}) is no number from 1 on")
        if isinstance(labels, str) or not isinstance(labels, Sequence):
            raise ValueError(f"labels ({labels!r:.60}) is no list; for one label write `label`")
        if label is not None and labels:
            raise ValueError("label and labels are both given; one label is a column NAME, several are NAME.LABEL")
        try:
            folder = inspect_classifier(model, _SCORES[score])
            numbers = _outputs(folder, label, labels)
        except ModelFolderError as error:
            raise ValueError(str(error)) from error
        if len(set(numbers)) < len(numbers):
            raise ValueError("labels names a label twice")
        return tuple(folder.outputs[number] for number in numbers) if labels else ()

    @staticmethod
    def memory_bytes(model: str, precision: str = "fp32", **_others: object) -> int:
        """What a process takes for the weights alone."""
        return memory_of(inspect_classifier(model), precision)

    def __call__(self, batch: pa.RecordBatch) -> pa.Array | dict[str, pa.Array]:
        """Scores; none for a text of no token, and where the model gives no number."""
        found = self._classifier(batch.column("text"), self._outputs)
        if not self._names:
            return pa.array(found[:, 0])
        return {name: pa.array(found[:, n].copy()) for n, name in enumerate(self._names)}


def _outputs(folder: ClassifierFolder, label: str | int | None, labels: Sequence[str | int]) -> list[int]:
    if label is None and not labels:
        if len(folder.outputs) > 1:
            listed = ", ".join(repr(name)[:60] for name in folder.outputs[:40])
            raise ModelFolderError(f"names no label: give `label`, or several as `labels`; the model has {listed}")
        return [0]
    return output_numbers(folder, [label] if label is not None else list(labels))
