"""Sequence classifiers and regression heads of transformers, from a local folder with safetensors.

A text's scores depend on the text and the model alone. On a CPU each text is a batch of its own. On a GPU batches have
fixed shapes: a text's length, rounded up, says how long the rows of its batch are and how many there are, and what is
missing is filled up with a text of the batch; so the same kernels work on it, whatever stands beside it.

Legend: N texts, L outputs of the model, B texts of a batch, T tokens of a row.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from winnow.errors import ModelFolderError
from winnow.select.model_folder import ModelFolder, inspect_model, tensors_of
from winnow.select.network import check_head, load_network
from winnow.select.text_tokens import TextTokens
from winnow.select.transformer import is_out_of_memory
from winnow.select.vectors import device_of_this_process

Score = Literal["auto", "softmax", "sigmoid", "raw"]
_SHORTEST = 16
_STEPS = 8
"""Lengths of rows between a power of two and the next one."""
_DECIMALS = 6
"""Of a score: beyond these, processors differ."""


@dataclass(frozen=True)
class ClassifierFolder:
    """A model that can be used: its folder, its outputs by name, and what its numbers are."""

    model: ModelFolder
    outputs: tuple[str, ...]
    """L names, of ``id2label``."""
    score: Score
    padding: int
    """Id of the token that fills rows up."""


def inspect_classifier(folder: str, score: Score = "auto") -> ClassifierFolder:
    """Look at a folder; the weights are not loaded.

    Args:
        folder: of a model that transformers saved, with ``tokenizer.json``.
        score: what is made of its outputs; ``auto`` goes by the config: one output is raw, several labels at a time
            (``multi_label_classification``) are sigmoids, others a softmax.

    Raises:
        ModelFolderError: it is none of a classifier, is damaged, or its files do not fit together.
    """
    model = inspect_model(folder)
    path = f"{model.transformer}/config.json"
    with open(path, "rb") as file:  # noqa: PTH123 - a path of the folder that was just read
        config = orjson.loads(file.read())
    named = config.get("id2label")
    number = config.get("num_labels", 2) if named is None else len(named) if isinstance(named, dict) else 0
    if type(number) is not int or not 1 <= number <= 1 << 20:
        raise ModelFolderError(f"{path}: id2label and num_labels say no number of labels; copy the model again")
    outputs = tuple(str((named or {}).get(str(n), f"LABEL_{n}")) for n in range(number))
    if score == "auto":
        several = config.get("problem_type") == "multi_label_classification"
        score = "raw" if number == 1 else "sigmoid" if several else "softmax"
    if importlib.util.find_spec("torch") is not None and importlib.util.find_spec("transformers") is not None:
        shapes: dict[str, tuple[int, ...]] = {}
        for weights in model.weights:
            shapes |= tensors_of(weights)
        check_head(model.transformer, shapes)
    padding = config.get("pad_token_id")
    return ClassifierFolder(model, outputs, score, padding if type(padding) is int and padding >= 0 else 0)


def output_numbers(folder: ClassifierFolder, wanted: list[str | int]) -> list[int]:
    """Which outputs are meant, by name or number.

    Raises:
        ModelFolderError: one is not there; with those that are.
    """
    found = []
    for name in wanted:
        if isinstance(name, str) and name in folder.outputs:
            found.append(folder.outputs.index(name))
        elif type(name) is int and 0 <= name < len(folder.outputs):
            found.append(name)
        else:
            listed = ", ".join(f"{n} {output!r:.60}" for n, output in enumerate(folder.outputs[:40]))
            raise ModelFolderError(f"{folder.model.folder}: has no label {name!r:.60}; it has {listed}")
    return found


class TextClassifier:
    """A model at work; one a process."""

    def __init__(self, folder: ClassifierFolder, max_tokens: int | None, precision: str, batch_tokens: int) -> None:
        self._folder = folder
        most = folder.model.max_tokens
        self._max_tokens = min(most, max_tokens or most)
        self._tokens = TextTokens(folder.model, self._max_tokens)
        self._batch_tokens = batch_tokens
        self.device = device_of_this_process()
        self.one_by_one = self.device == "cpu"
        kind: Literal["AutoModelForSequenceClassification"] = "AutoModelForSequenceClassification"
        self._network = load_network(folder.model.transformer, precision, self.device, kind)

    def __call__(self, texts: pa.Array, outputs: list[int]) -> NDArray[np.float32]:
        """Scores of texts large_string[N]: float32[N, len(outputs)], to 6 decimals; NaN where the model gives none.

        Raises:
            MemoryError: the device has no room for a batch.
        """
        tokens = self._tokens(texts)
        starts, flat = tokens.offsets.to_numpy(), tokens.values.to_numpy()
        lengths = np.diff(starts)
        found = np.full((len(lengths), len(self._folder.outputs)), np.nan)
        for rows, ids, count in self._batches(flat, starts, lengths):
            found[rows] = self._forward(ids, count)[: len(rows)]
        scored: NDArray[np.float32] = np.round(_scores(found, self._folder.score)[:, outputs], _DECIMALS).astype(
            np.float32
        )
        return scored

    def _batches(
        self, flat: NDArray[np.int32], starts: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64] | None]]:
        """Rows, their ids int64[B, T], and how many of them each text has; None without padding."""
        if self.one_by_one:
            for row in np.flatnonzero(lengths).tolist():
                yield np.array([row]), flat[starts[row] : starts[row + 1]][None].astype(np.int64), None
            return
        widths = np.minimum(row_widths(lengths), self._max_tokens)
        for width in np.unique(widths[lengths > 0])[::-1].tolist():
            these = np.flatnonzero((widths == width) & (lengths > 0))
            size = max(1, self._batch_tokens // width)
            for start in range(0, len(these), size):
                rows = these[start : start + size]
                filled = np.concatenate([rows, np.repeat(rows[:1], size - len(rows))])
                places = np.minimum(starts[filled][:, None] + np.arange(width), len(flat) - 1)
                inside = np.arange(width) < lengths[filled][:, None]
                yield rows, np.where(inside, flat[places], self._folder.padding).astype(np.int64), lengths[filled]

    def _forward(self, ids: NDArray[np.int64], count: NDArray[np.int64] | None) -> NDArray[np.float64]:
        """Outputs float64[B, L]."""
        import torch  # noqa: PLC0415 - optional, and slow to load

        there = torch.from_numpy(ids).to(self.device)
        mask: Any = None
        if count is not None:
            mask = (torch.arange(ids.shape[1])[None] < torch.from_numpy(count)[:, None]).long().to(self.device)
        try:
            with torch.inference_mode():
                logits = self._network(input_ids=there, attention_mask=mask).logits.double().cpu()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise MemoryError(
                f"the device's memory does not do for {ids.shape[0]} texts of {ids.shape[1]} tokens; lower the "
                "operator's batch_tokens or max_tokens, or compute.gpu_share leaves room for too many actors"
            ) from error
        outputs: NDArray[np.float64] = logits.numpy()
        return outputs


def row_widths(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Lengths rounded up to one of a few: 16, 32 ... 128, then 8 between powers of two."""
    octave = 1 << np.maximum(np.ceil(np.log2(np.maximum(lengths, 1))).astype(np.int64) - 1, 0)
    step = np.maximum(_SHORTEST, octave // _STEPS)
    widths: NDArray[np.int64] = -(-lengths // step) * step
    return widths


def _scores(outputs: NDArray[np.float64], score: Score) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):
        if score == "sigmoid":
            sigmoids: NDArray[np.float64] = 1 / (1 + np.exp(-outputs))
            return sigmoids
        if score == "softmax":
            powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
            return shares
        return outputs


def memory_of(folder: ClassifierFolder, precision: str) -> int:
    """Bytes of the weights in memory, at the least."""
    numbers = sum(int(np.prod(shape)) for path in folder.model.weights for shape in tensors_of(path).values())
    return numbers * (4 if precision == "fp32" else 2)
