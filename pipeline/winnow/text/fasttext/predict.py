"""How probable a model's labels are for texts: the numbers that the fastText library gives, label by label.

Legend: N documents, L labels, C of them asked for, D dimensions.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.text.fasttext.file import HIERARCHICAL, SOFTMAX, ModelError, ModelFile, read_model
from winnow.text.fasttext.rows import across, all_dots, collapsed, dots, plain_rows, settled
from winnow.text.fasttext.sums import sum_texts
from winnow.text.fasttext.words import lookup_of

PREFIX = "__label__"
_ADDED = 1e-5
"""The library takes logarithms of probabilities plus this, and gives what that comes to."""
_LISTED = 40
_AT_ONCE = 1 << 22
"""Numbers of a matrix, texts by labels or by dimensions, that are held."""
_STEPS, _MOST = 512, 8
"""Of the library's table of sigmoids, from -8 to 8."""


class Classifier:
    """A model, asked for some of its labels, or for all."""

    def __init__(self, path: str, labels: Sequence[str] | None = None) -> None:
        model = read_model(path)
        self.labels = model.labels
        """All that the model has."""
        numbers = range(len(model.labels)) if labels is None else label_numbers(path, labels, model.labels)
        self._columns = np.array(numbers, np.int64)
        self._lookup = lookup_of(model)
        self._loss = model.header.loss
        self._output = settled(model.output)
        self.collapsed = self._loss == SOFTMAX and len(self.labels) == 2
        if self.collapsed:
            no, yes = plain_rows(model.output, 0, 2).astype(np.float64)
            self._input = collapsed(model.input, yes - no)
            self._dimensions = 1
            return
        self._input = settled(model.input)
        self._dimensions = model.header.dimensions
        self._ways = _ways(model, self._columns) if self._loss == HIERARCHICAL else []
        self._across = across(self._output)

    @property
    def variant(self) -> str:
        """Of the kernels, which ones it uses: they are compiled for each."""
        aligned = "aligned" if self._input.dense.flags.aligned else "as they lie"
        return "one number" if self.collapsed else "codes" if len(self._input.codes) else aligned

    def __call__(self, texts: pa.Array, characters: int | None = None) -> NDArray[np.float32]:
        """Probabilities of texts large_string[N]: float32[N, C]; NaN of a text that holds nothing the model knows."""
        found = np.empty((len(texts), len(self._columns)), np.float32)
        for start, some in self._pieces(texts, characters):
            found[start : start + len(some)] = some
        return found

    def likeliest(
        self, texts: pa.Array, characters: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The likeliest label of those asked for, int64[N], and its probability, float32[N]: -1 and NaN of a text that
        holds nothing the model knows. Of labels that are equally likely the last one, as the library has it."""
        label, probability = np.empty(len(texts), np.int64), np.empty(len(texts), np.float32)
        for start, some in self._pieces(texts, characters):
            rows = slice(start, start + len(some))
            with np.errstate(all="ignore"):
                compared = np.log(some).astype(np.float32)  # what the library compares
            compared[np.isnan(compared)] = -np.inf
            label[rows] = some.shape[1] - 1 - compared[:, ::-1].argmax(axis=1)
            probability[rows] = some[np.arange(len(some)), label[rows]]
        label[np.isnan(probability)] = -1
        return label, probability

    def _pieces(self, texts: pa.Array, characters: int | None) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Probabilities float64[some, C] of as many texts as are held at a time, and the first one's place."""
        data, offsets = string_buffers(texts)
        most = -1 if characters is None else characters
        step = max(1, _AT_ONCE // max(len(self.labels), self._dimensions))
        for start in range(0, len(texts), step):
            with np.errstate(all="ignore"):  # of a model whose rows are not finite, there is no value
                yield start, self._some(data, offsets[start : start + step + 1], most)

    def _some(self, data: NDArray[np.uint8], offsets: NDArray[np.int64], most: int) -> NDArray[np.float64]:
        sums = np.zeros((len(offsets) - 1, self._dimensions), np.float64 if self.collapsed else np.float32)
        numbers = np.empty(len(sums), np.int64)
        sum_texts(self._lookup, self._input, data, offsets, most, self.collapsed, sums, numbers)
        share = 1 / numbers.astype(np.float64)
        found = self._probabilities(sums * (share if self.collapsed else share.astype(np.float32))[:, None])
        found[numbers == 0] = np.nan
        return found

    def _probabilities(self, means: NDArray[np.floating]) -> NDArray[np.float64]:
        """float64[N, C] of means [N, D]."""
        if self.collapsed:
            return _sigmoid(np.where(self._columns == 1, means, -means)) + _ADDED
        if self._loss == HIERARCHICAL:
            return self._by_tree(means)
        if self._loss == SOFTMAX:
            scores = self._scores(means, np.arange(len(self.labels)))
            powers = np.exp(scores - scores.max(axis=1, keepdims=True))
            shares: NDArray[np.float64] = powers[:, self._columns] / powers.sum(axis=1, keepdims=True)
            return shares + _ADDED
        scores = self._scores(means, self._columns)
        place = np.clip((scores + _MOST) * _STEPS / _MOST / 2, 0, _STEPS)
        table = _sigmoid(np.trunc(np.nan_to_num(place)) * (2 * _MOST) / _STEPS - _MOST)
        ends = np.where(scores < -_MOST, 0.0, np.where(scores > _MOST, 1.0, table))
        return np.where(np.isnan(scores), np.nan, ends) + _ADDED

    def _by_tree(self, means: NDArray[np.floating]) -> NDArray[np.float64]:
        """Along the way from the root to each label."""
        nodes = np.unique([node for way in self._ways for node, _ in way]).astype(np.int64)
        right = _sigmoid(self._scores(means, nodes))
        out = np.ones((len(means), len(self._ways)))
        for column, way in enumerate(self._ways):
            for node, is_right in way:
                share = right[:, np.searchsorted(nodes, node)]
                out[:, column] *= (share if is_right else 1 - share) + _ADDED
        return out

    def _scores(self, means: NDArray[np.floating], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        out = np.zeros((len(means), len(rows)), np.float32)
        if self._across.size and np.array_equal(rows, np.arange(len(self.labels))):
            all_dots(self._across, means, out)
        else:
            dots(self._output, rows, means, out)
        return out.astype(np.float64)


def label_numbers(path: str, wanted: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Where labels stand among a model's, with or without ``__label__``.

    Raises:
        ModelError: one is not there; with the list of those that are.
    """
    places = {label: number for number, label in reversed(list(enumerate(labels)))}
    found = []
    for name in wanted:
        place = places.get(name, places.get(PREFIX + name))
        if place is None:
            raise ModelError(f"{path.rpartition('/')[2]}: has no label {name!r:.80}; it has {listed(labels)}")
        found.append(place)
    return found


def listed(labels: Sequence[str]) -> str:
    """Labels for a message."""
    names = ", ".join(ascii(label)[1:-1] if not label.isprintable() else label[:80] for label in labels[:_LISTED])
    return names if len(labels) <= _LISTED else f"{names} and {len(labels) - _LISTED:,} more"


def _sigmoid(values: NDArray[np.floating]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        found: NDArray[np.float64] = 1 / (1 + np.exp(-values.astype(np.float64)))
    return found


def _ways(model: ModelFile, columns: NDArray[np.int64]) -> list[list[tuple[int, bool]]]:
    """Of each label the way to it in the tree of hierarchical softmax: (inner node, whether to its right)."""
    size = len(model.labels)
    counts = [*map(int, model.entries.label_counts), *[10**15] * (size - 1)]
    above: dict[int, tuple[int, bool]] = {}
    leaf, inner = size - 1, size
    for node in range(size, 2 * size - 1):
        total = 0
        for is_right in (False, True):
            if leaf >= 0 and counts[leaf] < counts[inner]:
                chosen, leaf = leaf, leaf - 1
            else:
                chosen, inner = inner, inner + 1
            above[chosen] = (node, is_right)
            total += counts[chosen]
        counts[node] = total
    ways = []
    for column in columns:
        way, at = [], int(column)
        while at in above:
            node, is_right = above[at]
            way.append((node - size, is_right))
            at = node
        ways.append(way[::-1])
    return ways
