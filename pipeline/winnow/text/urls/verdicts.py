"""What fails the rules on provenance, with the evidence: which list, which entry.

Legend: N documents, M failures.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow.text.urls.match import Matches
from winnow.text.urls.table import Table, entries_at

MOST_EVIDENCE = 300
"""Characters of an entry that are kept."""


class Failed(NamedTuple):
    """Failures of documents; as in all rules, the threshold is the last value that is kept."""

    row: NDArray[np.int64]
    """[M]."""
    rule: pa.Array
    """string[M]."""
    value: NDArray[np.float32]
    threshold: NDArray[np.float32]
    list: pa.Array
    """string[M]: the name of the list; null where none has part in it."""
    entry: pa.Array
    """string[M]: what was found."""


def failed(
    row: NDArray[np.int64], rule: list[str] | pa.Array, value: float, threshold: float, entry: pa.Array
) -> Failed:
    """Failures of rules that have no lists."""
    values = np.full((2, len(row)), [[value], [threshold]], np.float32)
    rules = pa.array(rule, pa.string())
    return Failed(row, rules, values[0], values[1], pa.nulls(len(row), pa.string()), _short(entry))


def _short(texts: pa.Array) -> pa.Array:
    return pc.utf8_slice_codeunits(texts, 0, MOST_EVIDENCE).cast(pa.string())


def joined(parts: list[Failed]) -> Failed:
    """Several as one, by row; within a row, those of the first come first."""
    columns = [
        pa.concat_arrays(column) if isinstance(column[0], pa.Array) else np.concatenate(column)
        for column in zip(*parts, strict=True)
    ]
    order = np.argsort(columns[0], kind="stable")
    return Failed(*(c.take(pa.array(order)) if isinstance(c, pa.Array) else c[order] for c in columns))


def failed_by_lists(
    found: Matches,
    tables: dict[str, Table],
    names: dict[str, list[str]],
    min_soft_words: int,
    about: NDArray[np.bool_],
) -> Failed:
    """Failures of the rules `urls.LIST`.

    Args:
        found: in addresses of N documents.
        tables: by kind.
        names: of the lists of each kind that has some.
        min_soft_words: different soft words from which a document fails.
        about: bool[N], documents that are asked.
    """
    parts = []
    for column, kind in enumerate(("domains", "urls", "words")):
        if kind in names:
            row = np.flatnonzero(about & (found.places[:, column] >= 0))
            parts.append(_listed(row, tables[kind], found.places[row, column], names[kind]))
    if "soft_words" in names:
        counts = (found.soft_places >= 0).sum(axis=1)
        row = np.flatnonzero(about & (counts >= min_soft_words))
        made = _listed(row, tables["soft_words"], found.soft_places[row, 0], names["soft_words"])
        value = counts[row].astype(np.float32)
        threshold = np.full(len(row), min_soft_words - 1, np.float32)
        entry = _all_soft(tables["soft_words"], found.soft_places[row])
        parts.append(made._replace(value=value, threshold=threshold, entry=entry))
    return joined(parts)


def _listed(row: NDArray[np.int64], table: Table, places: NDArray[np.int64], names: list[str]) -> Failed:
    number, entries = entries_at(table, places)
    lists = pa.array(names, pa.string()).take(pa.array(number))
    rule = pc.binary_join_element_wise("urls", lists, ".")
    ones = np.ones(len(row), np.float32)
    return Failed(row, rule, ones, ones - 1, lists, _short(entries.cast(pa.large_string())))


def _all_soft(table: Table, places: NDArray[np.int64]) -> pa.Array:
    """The soft words of each of M addresses, int64[M, 8], as one string, in their order."""
    there = places >= 0
    _, entries = entries_at(table, places[there])
    offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    words = pa.ListArray.from_arrays(pa.array(offsets), entries.cast(pa.large_string()).cast(pa.string()))
    return _short(pc.binary_join(words, ", "))
