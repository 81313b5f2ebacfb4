"""A ``.bin`` or ``.ftz`` file of fastText, mapped and looked through: nothing in it is trusted.

The file is a header of settings, the dictionary (words, then labels), which n-grams a pruned model has kept, the input
matrix (a row a word and a row a bucket of n-grams) and the output matrix (a row a label). Matrices of a quantised model
are codes into centroids. All numbers are little-endian; nothing is aligned.

Legend: V entries of the dictionary, L labels, K n-grams of a pruned model, D dimensions, R rows.
"""

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel

MAGIC = 793712314
NEWEST = 12
HIERARCHICAL, SAMPLED, SOFTMAX, ONE_VS_ALL = 1, 2, 3, 4
_LOSSES = {HIERARCHICAL: "hs", SAMPLED: "ns", SOFTMAX: "softmax", ONE_VS_ALL: "ova"}
_SUPERVISED = 3
_CENTROIDS = 256
_MOST_DIMENSIONS, _MOST_NGRAM = 1 << 16, 1 << 10


class ModelError(ValueError):
    """A file is no model that can be used."""


class Header(NamedTuple):
    """What the model was trained with, as far as asking it needs."""

    dimensions: int
    word_ngrams: int
    loss: int
    buckets: int
    shortest: int
    """Characters of the shortest n-gram of a word; and of the longest, 0 for none."""
    longest: int


class Entries(NamedTuple):
    """The dictionary: entry n is ``pool[start[n]:end[n]]``; words come first, then labels."""

    pool: NDArray[np.uint8]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    words: int
    label_counts: NDArray[np.int64]
    """int64[L], how often each label was seen in training."""


class Matrix(NamedTuple):
    """R rows of D numbers: as they are, or as codes; what is not there is empty."""

    dense: NDArray[np.float32]
    """float32[R, D], in the mapped file."""
    codes: NDArray[np.uint8]
    """uint8[R, Q]: of each piece of a row, which centroid."""
    centroids: NDArray[np.float32]
    """float32[256 * D]: piece by piece."""
    piece: int
    """Numbers of a piece; the last one may have fewer."""
    norms: NDArray[np.float32]
    """float32[R] that each row is multiplied by; float32[0] for 1."""

    @property
    def rows(self) -> int:
        """R."""
        return max(len(self.dense), len(self.codes))


@dataclass(frozen=True)
class ModelFile:
    """All of a model. Matrices are views of the mapped file, which all processes of a node share."""

    header: Header
    entries: Entries
    kept: NDArray[np.int32] | None
    """int32[K, 2], of a pruned model: bucket -> which row behind those of the words; None where all are there."""
    input: Matrix
    output: Matrix
    labels: tuple[str, ...]
    """L names, as they stand in the file (``__label__hq``)."""


def read_model(path: str) -> ModelFile:
    """Map and check a supervised model.

    Raises:
        ModelError: it is none, was cut short, or contradicts itself. OSError: it cannot be read.
    """
    reader = _Reader(path)
    header, version = _header(reader)
    if version == 11:  # its supervised models had no n-grams of characters, whatever they say
        header = header._replace(longest=0)
    entries, labels, pruned = _dictionary(reader)
    kept = None
    if pruned >= 0:
        kept = reader.array(np.int32, 2 * pruned, "n-grams that are kept").reshape(-1, 2).copy()
    quantised = reader.flag("whether it is quantised")
    input_matrix = _matrix(reader, header.dimensions, quantised, "input")
    output_quantised = reader.flag("whether the output is quantised")
    output = _matrix(reader, header.dimensions, quantised and output_quantised, "output")
    if kept is not None and not quantised:
        reader.refuse("is pruned but not quantised, which fastText does not read either")
    _check_rows(reader, header, entries, kept, input_matrix, output)
    return ModelFile(header, entries, kept, input_matrix, output, labels)


def read_labels(path: str) -> tuple[str, ...]:
    """The labels alone; the rest of the file is not looked at.

    Raises:
        ModelError: it is no supervised model, or was cut short before its labels end. OSError: it cannot be read.
    """
    reader = _Reader(path)
    _header(reader)
    return _dictionary(reader)[1]


class _Reader:
    """Takes a mapped file apart, from its beginning on."""

    def __init__(self, path: str) -> None:
        self.name = Path(path).name
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            if size < 8:
                raise ModelError(f"{self.name}: is no fastText model: it has {size} bytes; expected a .bin or .ftz")
            self.data = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
        self.at = 0

    def refuse(self, why: str) -> None:
        raise ModelError(f"{self.name}: {why}; get the file again, or another model")

    def array(self, kind: Any, number: int, what: str) -> NDArray[Any]:
        """So many numbers, as a view of the file."""
        size = number * np.dtype(kind).itemsize
        if number < 0:
            self.refuse(f"is damaged: {what}: {number} of them")
        if size > len(self.data) - self.at:
            self.refuse(
                f"was cut short, or is damaged: {what} take {size:,} bytes at {self.at:,}, and it ends at "
                f"{len(self.data):,}"
            )
        self.at += size
        return self.data[self.at - size : self.at].view(kind)

    def number(self, kind: Any, what: str) -> int:
        return int(self.array(kind, 1, what)[0])

    def flag(self, what: str) -> bool:
        value = self.number(np.uint8, what)
        if value > 1:
            self.refuse(f"is damaged: {what} is {value}, at {self.at - 1:,}; expected 0 or 1")
        return bool(value)


def _header(reader: _Reader) -> tuple[Header, int]:
    magic, version = (reader.number(np.int32, "the header") for _ in range(2))
    if magic != MAGIC:
        raise ModelError(
            f"{reader.name}: is no fastText model: it does not begin as one; expected a .bin or .ftz file "
            "(word vectors as text, .vec, are none)"
        )
    if not 11 <= version <= NEWEST:
        raise ModelError(f"{reader.name}: is of version {version} of fastText's format; 11 and {NEWEST} are read")
    names = ("dim", "ws", "epoch", "minCount", "neg", "wordNgrams", "loss", "model", "bucket", "minn", "maxn", "rate")
    said = dict(zip(names, map(int, reader.array(np.int32, len(names), "settings")), strict=True))
    reader.array(np.float64, 1, "settings")
    if said["model"] != _SUPERVISED:
        raise ModelError(
            f"{reader.name}: is a model of word vectors (unsupervised), which has no labels; expected one that "
            "`fasttext supervised` trained"
        )
    header = Header(said["dim"], said["wordNgrams"], said["loss"], said["bucket"], said["minn"], said["maxn"])
    if header.loss not in _LOSSES:
        reader.refuse(f"is damaged: its loss is {header.loss}; expected 1 to 4")
    for name, least, most in (
        ("dim", 1, _MOST_DIMENSIONS),
        ("wordNgrams", 0, _MOST_NGRAM),
        ("bucket", 0, 1 << 31),
        ("maxn", 0, _MOST_NGRAM),
    ):
        if not least <= said[name] <= most:
            reader.refuse(f"is damaged: {name} is {said[name]}; expected {least} to {most}")
    if not header.buckets and (header.word_ngrams > 1 or header.longest > 0):
        reader.refuse("is damaged: it has n-grams but no buckets for them")
    return header, version


def _dictionary(reader: _Reader) -> tuple[Entries, tuple[str, ...], int]:
    size, words, labels = (reader.number(np.int32, "the dictionary") for _ in range(3))
    _, pruned = (reader.number(np.int64, "the dictionary") for _ in range(2))
    if labels == 0:
        reader.refuse("has no labels")
    if words < 0 or labels < 0 or words + labels != size or pruned < -1:
        reader.refuse(f"is damaged: {size} entries, {words} words, {labels} labels, {pruned} n-grams")
    if size * 10 > len(reader.data) - reader.at:
        reader.refuse(f"was cut short, or is damaged: {size:,} entries do not fit into {len(reader.data):,} bytes")
    start, end, counts = np.empty((3, size), np.int64)
    kinds = np.empty(size, np.uint8)
    behind = _read_entries(reader.data, reader.at, start, end, counts, kinds)
    if behind < 0:
        reader.refuse(f"was cut short: it ends at {len(reader.data):,}, within its {size:,} words and labels")
    if kinds[:words].any() or not (kinds[words:] == 1).all():
        reader.refuse("is damaged: its words and labels do not stand one behind the other")
    pool = reader.data[reader.at : behind]
    names = tuple(
        pool[a:b].tobytes().decode(errors="replace")
        for a, b in zip(start[words:] - reader.at, end[words:] - reader.at, strict=True)
    )
    entries = Entries(pool, start - reader.at, end - reader.at, words, counts[words:].copy())
    reader.at = behind
    return entries, names, pruned


@kernel
def _read_entries(data, at, start, end, counts, kinds):  # type: ignore[no-untyped-def]
    """Take entries apart: bytes up to a zero, a count (int64), a kind; returns the place behind, -1 where they end
    early."""
    for entry in range(len(start)):
        start[entry] = at
        while at < len(data) and data[at] != 0:
            at += 1
        end[entry] = at
        if at + 10 > len(data):
            return -1
        count = np.int64(0)
        for byte in range(8):
            count |= np.int64(data[at + 1 + byte]) << (8 * byte)
        counts[entry] = count
        kinds[entry] = data[at + 9]
        at += 10
    return at


def _matrix(reader: _Reader, dimensions: int, quantised: bool, what: str) -> Matrix:
    with_norms = reader.flag(f"the {what} matrix") if quantised else False
    rows, columns = (reader.number(np.int64, f"the {what} matrix") for _ in range(2))
    if columns != dimensions or rows < 0:
        reader.refuse(
            f"is damaged: its {what} matrix has {rows:,} rows of {columns:,}; the header says {dimensions} dimensions"
        )
    no_codes, nothing = np.empty((0, 0), np.uint8), np.empty(0, np.float32)
    if not quantised:
        dense = reader.array(np.float32, rows * columns, f"{rows:,} rows of the {what} matrix")
        return Matrix(dense.reshape(rows, columns), no_codes, nothing, 1, nothing)
    size = reader.number(np.int32, "codes")
    codes = reader.array(np.uint8, size, f"codes of the {what} matrix")
    pieces, piece, centroids = _quantiser(reader, columns)
    if size != rows * pieces:
        reader.refuse(f"is damaged: {size:,} codes of {rows:,} rows of {pieces}")
    norms = nothing
    if with_norms:
        norm_codes = reader.array(np.uint8, rows, "norms")
        norms = _quantiser(reader, 1)[2][norm_codes]
    return Matrix(np.empty((0, columns), np.float32), codes.reshape(rows, pieces), centroids, piece, norms)


def _quantiser(reader: _Reader, columns: int) -> tuple[int, int, NDArray[np.float32]]:
    """Pieces of a row, numbers of a piece, centroids."""
    dimensions, pieces, piece, last = (reader.number(np.int32, "a quantiser") for _ in range(4))
    fits = dimensions == columns and piece > 0 and pieces > 0 and 0 < last <= piece
    if not fits or (pieces - 1) * piece + last != columns:
        reader.refuse(f"is damaged: a quantiser of {pieces} pieces of {piece} and {last} for {columns} dimensions")
    return pieces, piece, reader.array(np.float32, _CENTROIDS * columns, "centroids").copy()


def _check_rows(
    reader: _Reader, header: Header, entries: Entries, kept: NDArray[np.int32] | None, rows: Matrix, output: Matrix
) -> None:
    ngrams = header.buckets if kept is None else int(kept[:, 1].max(initial=-1)) + 1
    if kept is not None and kept.min(initial=0) < 0:
        reader.refuse("is damaged: an n-gram's row is below 0")
    if rows.rows < entries.words + ngrams:
        reader.refuse(
            f"is damaged: its input matrix has {rows.rows:,} rows for {entries.words:,} words and {ngrams:,} n-grams"
        )
    if output.rows != len(entries.label_counts):
        reader.refuse(
            f"is damaged: its output matrix has {output.rows:,} rows for {len(entries.label_counts):,} labels"
        )
    if not all(np.isfinite(part).all() for part in (output.dense, output.centroids, output.norms)):
        reader.refuse("is damaged: its output matrix has numbers that are not finite")
