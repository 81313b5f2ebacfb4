"""What rows need after packing: marks become a column; BERT's padding and last token."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.engine.records import Json
from winnow.shards.packed_rows import PackedRows
from winnow.shards.packing.assemble import text_mask
from winnow.shards.preferences import as_pairs
from winnow.stages.shards.stream import Documents
from winnow.tokens.marks import mark_ends, split_marks
from winnow.tokens.vocabulary import Vocabulary


def row_extras(vocabulary: Vocabulary, row: str, marks: str | None) -> Json:
    """Settings of the shards stage that :func:`postprocess_rows` reads; None and False where it has nothing to do.

    Args:
        vocabulary: of the run.
        row: kind of rows.
        marks: what the marks of tokens become, as ``Config.marks`` says.
    """
    padded = vocabulary.padding is not None
    return {
        "marks": marks,
        "dtype": np.dtype(vocabulary.dtype).name,
        "padding": vocabulary.padding,
        "keeps_last_token": padded and row == "document",
        "token_type_ids": padded and row == "document" and marks is None,
    }


def mark_document_ends(packed: PackedRows, documents: Documents, document: NDArray[np.int64], settings: Json) -> None:
    """Mark end-of-text tokens as their documents say, in runs with marks.

    Args:
        packed: rows with marks in their ids, and ``doc_starts``.
        documents: in the order that ``document`` counts.
        document: int64[P], the document of each piece.
        settings: of the shards stage.
    """
    if settings["marks"] is None or packed.doc_starts is None:
        return
    ends = packed.doc_starts + packed.pieces.astype(np.int64) == documents.lengths[document] + 1
    mark_ends(packed.rows, packed.pieces, packed.offsets, ends & (documents.end_marks[document] == 1))


def postprocess_rows(packed: PackedRows, settings: Json) -> PackedRows:
    """Rows as they are written: marks in a column of their own, padding as the vocabulary has it."""
    rows, columns = packed.rows, dict[str, NDArray[Any]](packed.columns)
    if settings["marks"] is not None:
        rows, marks = split_marks(rows, np.dtype(settings["dtype"]))
        if settings["marks"] == "preference":
            packed = as_pairs(packed, marks)
        else:
            columns[settings["marks"]] = marks
    if settings["padding"] is not None:
        held = text_mask(packed.pieces, packed.offsets, rows.shape[1])
        if settings["keeps_last_token"] and rows.shape[1]:
            _end_full_rows(rows, held, columns, settings)
        rows[held == 0] = settings["padding"]
        if settings["token_type_ids"]:
            columns["token_type_ids"] = np.zeros(rows.shape, np.uint8)
    return packed._replace(rows=rows, columns=columns)


def _end_full_rows(
    rows: NDArray[Any], held: NDArray[np.uint8], columns: Mapping[str, NDArray[Any]], settings: Json
) -> None:
    """A document that fills its row ends with the last token, whether or not something was cut off."""
    rows[held[:, -1] == 1, -1] = settings["end_of_text"]
