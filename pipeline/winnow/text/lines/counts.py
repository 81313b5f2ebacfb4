"""How many documents hold each line: one table over as many batches as fit, keys and counts taken from it in between.

Legend: N documents, B bytes of UTF-8, D different lines.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.bits import pointer_to
from winnow.numeric.jit import kernel
from winnow.text.characters import character_tables
from winnow.text.lines.config import LinesConfig
from winnow.text.lines.line_keys import is_long, line_key, next_piece, readable_buffers

_LOW_HALF = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
FIRST_SLOTS = 1 << 16
RUN_LINES = 2_000_000
"""Different lines that a counter holds before it is full (then 64 MB)."""


@kernel
def _slot_of(table: Any, slots: int, key: Any) -> int:
    """Where the key stands in the table, or the free slot where it belongs."""
    slot: Any = np.int64(key) & (slots - 1)
    while table[2 * slot] != 0 and table[2 * slot] != key:
        slot = (slot + 1) & (slots - 1)
    return slot  # type: ignore[no-any-return]


@kernel
def _grown(table: NDArray[np.uint64]) -> NDArray[np.uint64]:
    slots = len(table)  # twice as many as before
    larger = np.zeros(2 * slots, np.uint64)
    into = pointer_to(larger)
    for old in range(0, slots, 2):
        if table[old] != 0:
            slot = _slot_of(into, slots, table[old])
            into[2 * slot] = table[old]
            into[2 * slot + 1] = table[old + 1]
    return larger


@kernel
def _count(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    paragraphs: bool,
    min_characters: int,
    pages: NDArray[np.uint16],
    classes: NDArray[np.uint16],
    table: NDArray[np.uint64],
    used: int,
    documents: int,
) -> tuple[NDArray[np.uint64], int]:
    """Add a batch to the table; ``documents`` came before it.

    ``table`` is uint64[2 x slots]: key (0 = free), and number of the last document that held it (upper half) above the
    number of documents that held it (lower half).
    """
    bytes_, page, class_ = pointer_to(data), pointer_to(pages), pointer_to(classes)
    entries, slots = pointer_to(table), len(table) // 2
    for n in range(len(offsets) - 1):
        i, end = offsets[n], offsets[n + 1]
        document = np.uint64(documents + n + 1) << _HALF
        while i <= end:
            first, last, stop, _ = next_piece(bytes_, i, end, len(data), paragraphs, page, class_)
            i = stop + 1
            if not is_long(bytes_, first, last, min_characters):
                continue
            key = line_key(bytes_, first, last, len(data))
            slot = _slot_of(entries, slots, key)
            held = entries[2 * slot + 1]
            if entries[2 * slot] == 0:
                entries[2 * slot] = key
                used += 1
            elif held >> _HALF == document >> _HALF:
                continue
            entries[2 * slot + 1] = document | ((held & _LOW_HALF) + np.uint64(1))
            if 2 * used > slots:
                table = _grown(table)
                entries, slots = pointer_to(table), len(table) // 2
    return table, used


class LineCounter:
    """Counts documents by line, batch after batch. Memory: 32 bytes and more a different line."""

    def __init__(self, config: LinesConfig) -> None:
        self._config = config
        self._begin()

    def _begin(self) -> None:
        self._table = np.zeros(2 * FIRST_SLOTS, np.uint64)
        self._used = 0
        self._documents = 0

    @property
    def is_full(self) -> bool:
        """Whether it is time to take what was counted."""
        return self._used >= RUN_LINES

    def add(self, texts: pa.Array) -> None:
        """Count a batch of whole documents, large_string[N] without nulls.

        Raises:
            TypeError, ValueError: another type, or nulls.
        """
        data, offsets = readable_buffers(texts)
        tables = character_tables()
        self._table, self._used = _count(
            data,
            offsets,
            self._config.unit == "paragraph",
            self._config.min_characters,
            tables.class_pages,
            tables.classes,
            self._table,
            self._used,
            self._documents,
        )
        self._documents += len(texts)

    def take(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Keys uint64[D], each once and in no order, and in how many documents each was; the counter begins anew."""
        keys, held = self._table[::2], self._table[1::2]
        taken = keys != 0
        counted = keys[taken], held[taken] & _LOW_HALF
        self._begin()
        return counted
