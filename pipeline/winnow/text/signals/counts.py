"""What the scan counts, and what it knows of the text so far: the places of both in their arrays."""

from winnow.text.signals.c4 import C4_COUNTS

SCAN_COUNTS = (
    "bytes",
    "characters",
    "marks",
    "mark_runs",
    "hash_signs",
    "ellipses",
    "line_feeds",
    "filled_lines",
    "terminal_lines",
    "short_lines",
    "repeated_line_characters",
    "text_lines",
    "duplicate_lines",
    "duplicate_line_characters",
    "paragraphs",
    "duplicate_paragraphs",
    "duplicate_paragraph_characters",
    "printed_lines",
    "bullet_lines",
    "ellipsis_lines",
    *C4_COUNTS,
)
"""What is counted, in the order of the rows; meanings in ``signals.py``."""

(
    BYTES, CHARACTERS, MARKS, MARK_RUNS, HASH_SIGNS, ELLIPSES, LINE_FEEDS, FILLED_LINES, TERMINAL_LINES,
    SHORT_LINES, REPEATED_LINE_CHARACTERS, TEXT_LINES, DUPLICATE_LINES, DUPLICATE_LINE_CHARACTERS, PARAGRAPHS,
    DUPLICATE_PARAGRAPHS, DUPLICATE_PARAGRAPH_CHARACTERS, PRINTED_LINES, BULLET_LINES, ELLIPSIS_LINES,
) = range(20)  # fmt: skip
FIRST_C4_COUNT = 20

SHORT_LINE_CHARACTERS = 30
"""A line of at most so many characters is short (FineWeb)."""

# What is known so far: an int64 array, whose first numbers are those of the printed line (``scan_c4.py``); then bytes
# where the line, the printed line and the stripped text start, where the latter ends, keys in the two sets and their
# slots, the open paragraph, and the end of the whole buffer.
(
    LINE_START, PRINTED_START, STRIPPED_START, STRIPPED_END, LINES_KEPT, PARAGRAPHS_KEPT, LINE_SLOTS, PARAGRAPH_SLOTS,
    PARAGRAPH_LINES, PARAGRAPH_CHARACTERS, PARAGRAPH_HASH, DATA_END,
) = range(8, 20)  # fmt: skip
FOUND_NUMBERS = 20
