"""What rows need after packing: marks become a column; BERT's padding and last token."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.engine.records import Json
from winnow.shards.packed_rows import PackedRows
from winnow.shards.packing.assemble import text_mask
from winnow.stages.shards.stream import Documents
from winnow.tokens.marks import mark_ends, split_marks
from winnow.tokens.vocabulary import Vocabulary


def row_extras(vocabulary: Vocabulary, row: str, marks: str | None) -> Json:
    """Settings of the shards stage that :func:`finish_rows` reads; none for rows that need nothing of it.

    Args:
        vocabulary: of the run.
        row: kind of rows.
        marks: column that the marks of tokens become, or None where tokens have none.
    """
    extras: Json = {}
    if marks is not None:
        extras |= {"marks": marks, "dtype": np.dtype(vocabulary.dtype).name}
    if vocabulary.padding is not None:
        extras |= {"padding": vocabulary.padding, "keeps_last_token": row == "document"}
        if row == "document" and marks is None:
            extras["token_type_ids"] = True
    return extras


def mark_document_ends(packed: PackedRows, documents: Documents, document: NDArray[np.int64], settings: Json) -> None:
    """Mark end-of-text tokens as their documents say, in runs with marks.

    Args:
        packed: rows with marks in their ids, and ``doc_starts``.
        documents: in the order that ``document`` counts.
        document: int64[P], the document of each piece.
        settings: of the shards stage.
    """
    if "marks" not in settings or packed.doc_starts is None:
        return
    ends = packed.doc_starts + packed.pieces.astype(np.int64) == documents.lengths[document] + 1
    mark_ends(packed.rows, packed.pieces, packed.offsets, ends & (documents.end_marks[document] == 1))


def postprocess_rows(packed: PackedRows, settings: Json) -> PackedRows:
    """Rows as they are written. Rows of settings without any of :func:`row_extras` stay as they are."""
    rows, columns = packed.rows, dict[str, NDArray[Any]](packed.columns)
    if "marks" in settings:
        rows, columns[settings["marks"]] = split_marks(rows, np.dtype(settings["dtype"]))
    if "padding" in settings:
        held = text_mask(packed.pieces, packed.offsets, rows.shape[1])
        if settings["keeps_last_token"] and rows.shape[1]:
            _end_full_rows(rows, held, columns, settings)
        rows[held == 0] = settings["padding"]
        if settings.get("token_type_ids"):
            columns["token_type_ids"] = np.zeros(rows.shape, np.uint8)
    return packed._replace(rows=rows, columns=columns)


def _end_full_rows(
    rows: NDArray[Any], held: NDArray[np.uint8], columns: Mapping[str, NDArray[Any]], settings: Json
) -> None:
    """A document that fills its row ends with the last token, whether or not something was cut off."""
    rows[held[:, -1] == 1, -1] = settings["end_of_text"]
