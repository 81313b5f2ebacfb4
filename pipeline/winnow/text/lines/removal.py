"""Texts without the lines (or paragraphs) whose keys are known as boilerplate.

Legend: N documents, B bytes of UTF-8, K known keys, L of them listed (an example of each is wanted).
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import strings_from_buffers
from winnow.numeric.bits import pointer_to
from winnow.numeric.jit import kernel
from winnow.text.characters import character_tables
from winnow.text.lines.config import LinesConfig
from winnow.text.lines.line_keys import LINE_FEED, is_long, line_key, next_piece, readable_buffers
from winnow.text.signals.lines import count_characters

EXAMPLE_BYTES = 400
"""An example is cut after so many bytes."""
BUCKET_KEYS = 4
"""Known keys a bucket of the look-up, on average: 2 bytes of index a key."""


@kernel
def _is_known(key: Any, known: Any, starts: Any, shift: Any) -> bool:
    bucket = np.int64(key >> shift)
    place, stop = starts[bucket], starts[bucket + 1]
    while place < stop and known[place] != key:
        place += 1
    return place < stop  # type: ignore[no-any-return]


@kernel
def _note_example(key: Any, first: int, last: int, listed: NDArray[np.uint64], examples: NDArray[np.int64]) -> None:
    place = np.searchsorted(listed, key)
    if place < len(listed) and listed[place] == key and examples[place, 1] == 0:
        examples[place, 0] = first
        examples[place, 1] = last


@kernel
def _copy(source: Any, start: int, end: int, target: Any, at: int) -> int:
    for index in range(end - start):
        target[at + index] = source[start + index]
    return at + end - start


@kernel
def _remove(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    paragraphs: bool,
    min_characters: int,
    pages: NDArray[np.uint16],
    classes: NDArray[np.uint16],
    known: NDArray[np.uint64],
    starts: NDArray[np.int64],
    shift: Any,
    listed: NDArray[np.uint64],
    examples: NDArray[np.int64],
    out: NDArray[np.uint8],
    out_offsets: NDArray[np.int64],
    removed_lines: NDArray[np.int64],
    removed_characters: NDArray[np.int64],
) -> None:
    """Write the texts without their boilerplate to ``out``; the last four arrays and ``examples`` are filled."""
    bytes_, page, class_, target = pointer_to(data), pointer_to(pages), pointer_to(classes), pointer_to(out)
    keys, buckets = pointer_to(known), pointer_to(starts)
    written = 0
    out_offsets[0] = 0
    for n in range(len(offsets) - 1):
        i, end = offsets[n], offsets[n + 1]
        begun = written
        open_from = -1  # first byte of kept lines that are not yet copied
        previous_stop = i
        lines_gone = 0
        after_removed = False  # since the last kept line that is not blank
        any_kept, any_filled, blank_before = False, False, True
        while i <= end:
            first, last, stop, lines = next_piece(bytes_, i, end, len(data), paragraphs, page, class_)
            blank = first == last
            gone = blank and after_removed and blank_before
            if not blank:
                if is_long(bytes_, first, last, min_characters):
                    key = line_key(bytes_, first, last, len(data))
                    if _is_known(key, keys, buckets, shift):
                        gone = True
                        lines_gone += lines
                        _note_example(key, first, last, listed, examples)
                after_removed = gone
            if gone:
                if open_from >= 0:
                    written = _copy(bytes_, open_from, previous_stop, target, written)
                    open_from = -1
            else:
                if open_from < 0:
                    if any_kept:
                        target[written] = LINE_FEED
                        written += 1
                    open_from = i
                any_kept = True
                any_filled = any_filled or not blank
                blank_before = blank
            previous_stop = stop
            i = stop + 1
        if open_from >= 0:
            written = _copy(bytes_, open_from, end, target, written)
        if lines_gone > 0:
            if not any_filled:
                written = begun
            removed_lines[n] = lines_gone
            left = count_characters(target, begun, written)
            removed_characters[n] = count_characters(bytes_, offsets[n], end) - left
        out_offsets[n + 1] = written


class RemovedLines(NamedTuple):
    """The texts of a batch without their boilerplate."""

    texts: pa.Array
    """large_string[N]; the very input where nothing was removed."""
    lines: NDArray[np.int64]
    """int64[N], lines removed (in paragraphs too, lines count); blank lines apart."""
    characters: NDArray[np.int64]
    """int64[N], code points by which the text is shorter."""


class KnownLines:
    """The keys of boilerplate lines, ready to be looked up: 2 bytes of index a key besides the keys themselves.

    Args:
        keys: uint64[K], rising; they may lie in mapped memory.
    """

    def __init__(self, keys: NDArray[np.uint64]) -> None:
        self.keys = keys.view()
        self.keys.flags.writeable = False
        bits = max(1, (len(keys) // BUCKET_KEYS).bit_length())
        self.shift = np.uint64(64 - bits)
        bounds = np.arange(1 << bits, dtype=np.uint64) << self.shift
        self.starts = np.append(np.searchsorted(keys, bounds), len(keys)).astype(np.int64)


class LineRemover:
    """Removes boilerplate lines.

    Blank lines on both sides of removed lines do not add up: a blank line goes too where lines were removed since the
    last kept line that is not blank, and a blank line or the start of the text stands before it. A text of which only
    blank lines would be left becomes empty. Kept lines stay as they are, to the byte.

    Args:
        config: ``unit`` and ``min_characters`` as when the keys were counted.
        known: the lines to remove.
        listed: uint64[L], rising: keys of which an example is wanted.
    """

    def __init__(self, config: LinesConfig, known: KnownLines, listed: NDArray[np.uint64]) -> None:
        self._config = config
        self._known = known
        self._listed = listed
        self._wanted = np.ones(len(listed), bool)
        self.examples: dict[int, str] = {}
        """Text of the first removed line with each listed key, as far as there was one."""

    def __call__(self, texts: pa.Array) -> RemovedLines:
        """Remove from a batch, large_string[N] without nulls.

        Raises:
            TypeError, ValueError: another type, or nulls.
        """
        lines, characters = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
        if len(self._known.keys) == 0:
            return RemovedLines(texts, lines, characters)
        data, offsets = readable_buffers(texts)
        tables = character_tables()
        out, out_offsets = np.empty(offsets[-1] - offsets[0], np.uint8), np.empty(len(offsets), np.int64)
        listed = self._listed[self._wanted]
        examples = np.zeros((len(listed), 2), np.int64)
        _remove(
            data,
            offsets,
            self._config.unit == "paragraph",
            self._config.min_characters,
            tables.class_pages,
            tables.classes,
            self._known.keys,
            self._known.starts,
            self._known.shift,
            listed,
            examples,
            out,
            out_offsets,
            lines,
            characters,
        )
        for place in np.flatnonzero(examples[:, 1]).tolist():
            first, last = examples[place].tolist()
            clipped = data[first : min(last, first + EXAMPLE_BYTES)].tobytes()
            self.examples[int(listed[place])] = clipped.decode(errors="ignore")
        self._wanted[self._wanted] = examples[:, 1] == 0
        if not lines.any():
            return RemovedLines(texts, lines, characters)
        return RemovedLines(strings_from_buffers(out, out_offsets), lines, characters)
