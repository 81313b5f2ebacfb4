"""Arrow schemas of every table that crosses a stage: the contracts between stages.

``doc`` is a document's identity everywhere: ``file number << 32 | row number in the file``. It never depends on
order of arrival, unit sizes or workers. File numbers are below 2^31; with the top bit set, a ``doc`` names a document
of an earlier run, in the index (see ``dedup/index.py``).
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

NO_DOC = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
"""Stands where a table has no document to name (a keeper of a kept document)."""

KEPT = "kept"
FILTERED = "filtered"
EMPTY = "empty"
EXACT_DUPLICATE = "exact_duplicate"
NEAR_DUPLICATE = "near_duplicate"
CONTAMINATED = "contaminated"
REPEATED = "repeated"
SEMANTIC_DUPLICATE = "semantic_duplicate"
SAMPLED_OUT = "sampled_out"
REMOVED_ON_REQUEST = "removed_on_request"
UNREADABLE = "unreadable"

DECIDED_OUTCOMES = (
    KEPT,
    FILTERED,
    EMPTY,
    EXACT_DUPLICATE,
    NEAR_DUPLICATE,
    CONTAMINATED,
    REPEATED,
    SEMANTIC_DUPLICATE,
    SAMPLED_OUT,
)
"""Outcomes of readable documents, in the order of the stages that decide them."""

LEDGER_OUTCOMES = (*DECIDED_OUTCOMES, REMOVED_ON_REQUEST)
"""The same, and what removal requests make of any of them."""

OUTCOMES = (*LEDGER_OUTCOMES, UNREADABLE)
"""Every input record ends with exactly one of these."""

_name = pa.dictionary(pa.int32(), pa.string())


def documents(keep: tuple[str, ...] = ()) -> pa.Schema:
    """One row a readable document, as ``measure`` leaves it; ``keep`` are columns the user carries along."""
    return pa.schema(
        [
            ("doc", pa.uint64()),
            ("id", pa.string()),
            ("text", pa.large_string()),
            ("source", _name),
            *((f"keep.{column}", pa.string()) for column in keep),
        ]
    )


UNREADABLE_RECORDS = pa.schema(
    [
        ("doc", pa.uint64()),  # NO_DOC for a fault of the whole file
        ("source", pa.string()),
        ("path", pa.string()),
        ("id", pa.string()),  # the user's, where at least that could be read
        ("position", pa.int64()),  # byte in the file as stored (compressed bytes for compressed files)
        ("bytes", pa.int64()),
        ("reason", pa.string()),
    ]
)
"""One row a record, or rest of a file, that could not be read."""

LINE_COUNTS = pa.schema([("key", pa.uint64()), ("documents", pa.uint32())])
"""Lines of one source and how many of its documents hold each; keys rise within a record batch. (`dedup.lines` only)"""

REMOVED_LINES = pa.schema([("removed_lines", pa.uint32()), ("removed_characters", pa.uint32())])
"""What the signals table has besides the signals: what a text lost as boilerplate. (`dedup.lines` only)"""

EXAMPLES = pa.schema([("source", pa.string()), ("key", pa.uint64()), ("text", pa.string())])
"""One row a boilerplate line, of its source's most or least frequent, that the unit removed: its text, cut short."""

FAILURES = pa.schema(
    [
        ("doc", pa.uint64()),
        ("rule", _name),
        ("value", pa.float32()),
        ("threshold", pa.float32()),
    ]
)
"""One row a failed rule, in both modes of the filter: *all* rules that a document fails."""

MATCHES = pa.schema(
    [
        ("doc", pa.uint64()),
        ("rule", pa.string()),
        ("value", pa.float32()),
        ("threshold", pa.float32()),
        ("list", pa.string()),  # of the user's, by name; null where the rule has none
        ("entry", pa.string()),  # the listed host, address or words; what the page says of training; its licence
    ]
)
"""One row a failed rule on where the document comes from, with what it was found by; doc rises."""

VERDICTS = pa.schema(
    [
        ("doc", pa.uint64()),
        ("passed", pa.bool_()),  # goes on to dedup
        ("outcome", _name),  # FILTERED or EMPTY where it does not pass
        ("failed_rules", pa.uint16()),
        ("characters", pa.uint32()),
        ("source", pa.uint16()),  # position of the source in the config
    ]
)
"""One row a readable document: what the filter decided, and what ranks it among its duplicates."""

EDITS = pa.schema(
    [
        ("doc", pa.uint64()),
        ("start", pa.int64()),  # bytes of the stored text in UTF-8
        ("end", pa.int64()),
        ("replacement", _name),  # "" cuts
        ("kind", _name),  # what it is: pii.email
    ]
)
"""One row a stretch of a kept document's text that is replaced where the text leaves, by document and start; none lies
over another. (see ``text/edits.py``)"""

DECISIONS = pa.schema(
    [
        ("doc", pa.uint64()),
        ("outcome", _name),
        ("rule", _name),  # the first failed rule, or the step of select that left the document out, or null
        ("value", pa.float32()),
        ("threshold", pa.float32()),
        ("keeper", pa.uint64()),  # the document, kept by the step that decided this, that a duplicate repeats, or null
        ("similarity", pa.float32()),  # verified similarity to the keeper (see dedup.verify; semantic: cosine), or null
        ("containment", pa.float32()),  # share of the document's different runs of three words that the keeper holds
        ("lost_ngrams", pa.uint32()),  # and how many it does not; both null for semantic duplicates, or if not known
        ("guard", _name),  # why dedup.guard would not let this document go for a better-ranked one, or null
        ("guard_keeper", pa.uint64()),  # and for which; similarity and containment are to that one if it was kept
        ("split", _name),  # null unless kept
        ("copies", pa.uint16()),  # how often the document enters an epoch (source weight)
    ]
)
"""The ledger: one row, one terminal outcome, for every readable document."""

EVALUATION_ITEMS = pa.schema(
    [
        ("item", pa.uint32()),
        ("set", _name),
        ("file", _name),
        ("line", pa.uint32()),  # of Parquet and JSON arrays the row, from 1
        ("question", pa.string()),  # its beginning
        ("question_words", pa.uint32()),
        ("words", pa.uint32()),  # of the question and its longest answer
        ("same_as", pa.uint32()),  # the item before with the same words, which stands for it, or null
    ]
)
"""One row an item of an evaluation set. (`decontaminate` only)"""

ITEM_PLACES = pa.schema(
    [
        ("doc", pa.uint64()),
        ("item", pa.uint32()),
        ("by", _name),  # `question`, or `answer` for the question with its answer
        ("covered", pa.uint32()),  # words of these that the document holds there
        ("words", pa.uint32()),
        ("begin", pa.uint64()),  # byte of the document's text
        ("end", pa.uint64()),
    ]
)
"""One row a place at which a document holds an item of an evaluation set. (`decontaminate` only)"""

FOUND_ITEMS = pa.schema(
    [
        *EVALUATION_ITEMS,
        ("status", _name),  # `found`, `not found`, `same`, `too short` or `empty`
        ("documents", pa.uint32()),  # that hold it
        ("places", pa.uint32()),
        ("first_doc", pa.uint64()),  # or null
    ]
)
"""The same items, and where they were found: the table in `reports/`."""

PASSAGES = pa.schema(
    [
        ("doc", pa.uint64()),
        ("begin", pa.int64()),  # byte of the document's text at which the first word begins
        ("end", pa.int64()),  # and at which the last one ends
        ("word", pa.uint32()),  # number of the first word, from 0
        ("words", pa.uint32()),
        ("keeper", pa.uint64()),  # the document that has them first, which may be the same
        ("keeper_word", pa.uint32()),  # number of the first word there
    ]
)
"""One row a passage that stands in the corpus before, by document and word: as far as it goes on in one document. The
next may begin before its end; every word that is cut is in one. (`passages` only)"""

EDGES = pa.schema([("a", pa.uint64()), ("b", pa.uint64())])
"""Candidate pairs as star edges: ``a`` is the smallest document that shares a band with ``b``."""

COMPONENTS = pa.schema([("doc", pa.uint64()), ("component", pa.uint64())])
"""Documents with at least one candidate, sorted by doc; a component is named by its smallest document."""


AUGMENTED_FROM = pa.schema([("doc", pa.uint64()), ("parent", pa.uint64())])
"""One row a readable synthetic text that names its parent, by doc: the parent, or NO_DOC where no document has that id.
(`augmented_from` only)"""

LINKS = pa.schema([("component", pa.uint64()), ("doc", pa.uint64())])
"""Documents of an index and the component that a run found them in, named by a document number of that run."""

INDEXED_DOCUMENTS = pa.schema([("doc", pa.uint64()), ("id", pa.string()), ("source", _name)])
"""Kept documents of a part of an index, row by row: their number in the run that kept them, id and source."""


INDEXED_SHINGLES = pa.schema([("shingles", pa.large_list(pa.uint32()))])
"""Sorted distinct shingles of the kept documents of a part of an index, row by row; not with
`verify: estimate`."""


INDEXED_CONTENTS = pa.schema(
    [
        ("script", pa.uint8()),  # see text/scripts.py; 0 for none
        ("language", pa.uint32()),  # see text/language/sure.py; 0 where it is not sure
        ("characters", pa.uint32()),
        ("ngrams", pa.large_list(pa.uint32())),  # sorted distinct runs of three words
    ]
)
"""What `dedup.guard` asks of the kept documents of a part of an index, row by row; not with `guard: off`."""


def indexed_signatures(num_perm: int) -> pa.Schema:
    """What a part of an index holds of its kept documents, row by row; ``group`` draws their split."""
    return pa.schema(
        [
            ("exact_high", pa.uint64()),
            ("exact_low", pa.uint64()),
            ("shingles", pa.uint32()),
            ("group", pa.uint64()),
            ("signature", pa.list_(pa.uint32(), num_perm)),
        ]
    )


def signatures(num_perm: int) -> pa.Schema:
    """MinHash signature, number of shingles and exact hash of every readable document, in document order."""
    return pa.schema(
        [
            ("doc", pa.uint64()),
            ("exact_high", pa.uint64()),
            ("exact_low", pa.uint64()),
            ("shingles", pa.uint32()),
            ("signature", pa.list_(pa.uint32(), num_perm)),
        ]
    )


def tokens(ids: pa.DataType, *, marks: bool = False) -> pa.Schema:
    """Token ids of every kept document, without end-of-text tokens.

    With marks (see ``tokens/marks.py``), ids are uint32 with the mark in the top bit, and ``end_mark`` is the
    end-of-text's.
    """
    more = [("end_mark", pa.uint8())] if marks else []
    return pa.schema([("doc", pa.uint64()), ("ids", pa.large_list(ids)), *more])


def document_numbers(file: int, rows: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """``doc`` uint64[N] of rows uint32[N] of one catalogued file."""
    return (np.uint64(file) << np.uint64(32)) | rows.astype(np.uint64)


def split_document_number(doc: int) -> tuple[int, int]:
    """The file number and row number that a ``doc`` is made of."""
    return doc >> 32, doc & 0xFFFF_FFFF
