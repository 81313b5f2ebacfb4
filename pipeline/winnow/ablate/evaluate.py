"""What a model is worth on held-out text: bits a byte, and which of several answers it finds likeliest.

Legend: D documents, I items.
"""

import math
from collections import defaultdict

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from winnow.ablate.model import Gpt
from winnow.ablate.train import loss_sum, rows_at_once

IGNORED = -100


def bits_per_byte(model: Gpt, documents: pa.Table, row: int, end_of_text: int) -> dict[str, float]:
    """Bits that the model needs for a byte of each set's text.

    Documents follow each other in rows of ``row`` tokens as they do in training, with the end of text between them,
    which is itself not counted.

    Args:
        model: it.
        documents: ``set``, ``ids`` (list), ``bytes``.
        row: tokens of a row.
        end_of_text: its id.
    """
    found = {}
    names = documents.column("set").to_pylist()
    ids, sizes = documents.column("ids").to_pylist(), np.array(documents.column("bytes").to_pylist(), np.int64)
    for name in dict.fromkeys(names):
        mine = [at for at, set_name in enumerate(names) if set_name == name]
        stream = [end_of_text]
        for at in mine:
            stream += [*ids[at], end_of_text]
        rows = -(-(len(stream) - 1) // row)
        inputs = np.full(rows * row + 1, end_of_text, np.int64)
        inputs[: len(stream)] = stream
        labels = np.where(inputs[1:] == end_of_text, IGNORED, inputs[1:])
        nats = _nats(model, inputs[:-1].reshape(rows, row), labels.reshape(rows, row))
        found[name] = nats / math.log(2) / int(sizes[mine].sum())
    return found


@torch.no_grad()
def _nats(model: Gpt, inputs: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    device, part = model.embedding.weight.device, rows_at_once(model, inputs.shape[1])
    rows = zip(torch.from_numpy(inputs).split(part), torch.from_numpy(labels).split(part), strict=True)
    return math.fsum(float(loss_sum(model, some.to(device), wanted.to(device))) for some, wanted in rows)


def choice_scores(model: Gpt, choices: pa.Table, row: int) -> dict[str, tuple[float, float]]:
    """By set: the share of items whose right answer is the likeliest a byte, and bits a byte of the right answers.

    Args:
        model: it.
        choices: a row a choice: ``set``, ``item`` (its number in the set), ``question`` and ``ids`` (lists), ``bytes``
            of the choice, ``right``. Choices of an item follow each other.
        row: tokens that the model was trained with; of longer questions the end is read.
    """
    items: dict[tuple[str, int], list[tuple[float, float, bool]]] = defaultdict(list)
    for choice in choices.to_pylist():
        answer = choice["ids"][-row:]
        before = choice["question"][-max(1, row + 1 - len(answer)) :]
        whole = np.array([*before, *answer], np.int64)
        labels = whole[1:].copy()
        labels[: len(before) - 1] = IGNORED
        nats = _nats(model, whole[None, :-1], labels[None])
        items[choice["set"], choice["item"]].append((nats, choice["bytes"], choice["right"]))
    correct: dict[str, list[bool]] = defaultdict(list)
    bits: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for (name, _), found in items.items():
        best = min(found, key=lambda one: one[0] / one[1])
        correct[name].append(best[2])
        nats, size, _ = next(one for one in found if one[2])
        bits[name] = bits[name][0] + nats, bits[name][1] + size
    return {
        name: (sum(right) / len(right), bits[name][0] / bits[name][1] / math.log(2)) for name, right in correct.items()
    }
